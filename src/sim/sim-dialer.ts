import type { BlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { ClientCore } from "../client/client-core.ts";
import type { ServerLink } from "../client/server-link.ts";
import type { HolderRole } from "../placement/holder.ts";
import { type Network, REFUSED } from "./network.ts";
import type { Process } from "./process.ts";
import type { SimFlusher } from "./sim-flusher.ts";
import { type SimRegion, SimSocket } from "./sim-socket.ts";

export interface SimDialerOptions {
  core: ClientCore;
  process: Process;
  network: Network;
  host: string;
  region: SimRegion;
  sendPool: BlockPool;
  carryPool: BlockPool;
  flusher: SimFlusher;
  /** True while membership hears of a server at this address. */
  isHeard: (address: string) => boolean;
}

interface Target {
  readonly address: string;
  readonly role: HolderRole;
  identity: string | undefined;
  retryMs: number;
  /** Since when every attempt was refused, and how many were. */
  refusedSinceMs: number;
  refusals: number;
  socket: SimSocket | undefined;
  link: ServerLink | undefined;
}

const REFUSALS_MIN = 3;

/** Keeps a link to each server, with the same rules as the production dialer (io/server-dialer.ts). */
export class SimDialer {
  readonly #options: SimDialerOptions;
  readonly #byLink = new Map<ServerLink, Target>();

  constructor(options: SimDialerOptions) {
    this.#options = options;
  }

  add(address: string, role: HolderRole): void {
    this.#dial({
      ...{ address, role, identity: undefined },
      ...{ retryMs: limits.linkRetryMsMin, refusedSinceMs: 0, refusals: 0 },
      ...{ socket: undefined, link: undefined },
    });
  }

  #dial(target: Target): void {
    const { core, process, network, host, region, sendPool, carryPool, flusher } = this.#options;
    const out = new OutQueue(sendPool, () => socket.markDirty());
    const socket: SimSocket = new SimSocket(
      out,
      {
        receive: (bytes, start, end) => this.#receive(target, bytes, start, end),
        drained: () => flusher.wake(),
        ended: (error) => this.#ended(target, error),
      },
      { process, region, carryPool, flusher },
    );
    target.socket = socket;
    const link = core.openLink(out, process.nowMs, target.role);
    target.link = link;
    this.#byLink.set(link, target);
    socket.attach(network.connect(process, host, target.address));
  }

  #receive(target: Target, bytes: Uint8Array, start: number, end: number): number {
    const link = target.link!;
    const wasUp = link.up;
    const taken = link.receive(bytes, start, end, this.#options.process.nowMs);
    if (!wasUp && link.up) this.#up(target, link);
    if (link.closed !== undefined) target.socket?.finish();
    return taken;
  }

  #up(target: Target, link: ServerLink): void {
    const { identity } = link.peer!;
    if (target.identity !== identity) this.#lose(target, `another process answers at ${target.address}`);
    target.identity = identity;
    target.retryMs = limits.linkRetryMsMin;
  }

  /** Who answered there last, if anybody has, is gone. */
  #lose(target: Target, why: string): void {
    const { identity } = target;
    target.identity = undefined;
    if (identity !== undefined) this.#options.core.serverLost(identity, why);
  }

  linkClosed(link: ServerLink): void {
    this.#byLink.get(link)?.socket?.destroy();
  }

  #ended(target: Target, error: Error | undefined): void {
    const { core, process } = this.#options;
    const link = target.link!;
    core.linkEnded(link);
    this.#byLink.delete(link);
    target.socket = undefined;
    target.link = undefined;
    this.#countRefusal(target, error?.message === REFUSED);
    if (this.#isProvedGone(target)) this.#lose(target, `nobody listens at ${target.address} any more`);
    process.after(target.retryMs, () => this.#dial(target));
    target.retryMs = Math.min(target.retryMs * 2, limits.linkRetryMsMax);
  }

  #countRefusal(target: Target, refused: boolean): void {
    if (target.refusals === 0) target.refusedSinceMs = this.#options.process.nowMs;
    target.refusals = refused ? target.refusals + 1 : 0;
  }

  #isProvedGone(target: Target): boolean {
    const { isHeard, process } = this.#options;
    if (target.refusals < REFUSALS_MIN || isHeard(target.address)) return false;
    return process.nowMs - target.refusedSinceMs >= limits.refusedMeansDeadMs;
  }
}
