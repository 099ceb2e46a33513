import type { BlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { ClientCore } from "../client/client-core.ts";
import type { ServerLink } from "../client/server-link.ts";
import type { Network } from "./network.ts";
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
}

interface Target {
  readonly address: string;
  identity: string | undefined;
  retryMs: number;
  socket: SimSocket | undefined;
  link: ServerLink | undefined;
}

/** Keeps a link to each memory server, with the same rules as the production dialer (io/server-dialer.ts). */
export class SimDialer {
  readonly #options: SimDialerOptions;
  readonly #byLink = new Map<ServerLink, Target>();

  constructor(options: SimDialerOptions) {
    this.#options = options;
  }

  add(address: string): void {
    this.#dial({
      address,
      identity: undefined,
      retryMs: limits.linkRetryMsMin,
      socket: undefined,
      link: undefined,
    });
  }

  #dial(target: Target): void {
    const { core, process, network, host, region, sendPool, carryPool, flusher } = this.#options;
    const out = new OutQueue(sendPool, () => socket.markDirty(), core.counters.sent);
    const socket: SimSocket = new SimSocket(
      out,
      {
        receive: (bytes, start, end) => this.#receive(target, bytes, start, end),
        drained: () => flusher.wake(),
        ended: () => this.#ended(target),
      },
      { process, region, carryPool, flusher },
    );
    target.socket = socket;
    const link = core.openLink(out, process.nowMs);
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
    const { core } = this.#options;
    const { identity } = core.table.at(link.holder);
    if (target.identity !== undefined && target.identity !== identity) {
      core.serverLost(target.identity, `another process answers at ${target.address}`);
    }
    target.identity = identity;
    target.retryMs = limits.linkRetryMsMin;
  }

  linkClosed(link: ServerLink): void {
    this.#byLink.get(link)?.socket?.destroy();
  }

  #ended(target: Target): void {
    const { core, process } = this.#options;
    const link = target.link!;
    core.linkEnded(link);
    this.#byLink.delete(link);
    target.socket = undefined;
    target.link = undefined;
    process.after(target.retryMs, () => this.#dial(target));
    target.retryMs = Math.min(target.retryMs * 2, limits.linkRetryMsMax);
  }
}
