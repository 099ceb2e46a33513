import type { BlockPool } from "../base/blocks.ts";
import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { ClientCore } from "../client/client-core.ts";
import type { ServerLink } from "../client/server-link.ts";
import { connectRaw } from "./raw-socket.ts";
import type { ReceiveRegion } from "./receive-region.ts";
import { StreamSocket } from "./stream-socket.ts";
import type { TurnFlusher } from "./turn-flusher.ts";

export interface ServerDialerOptions {
  core: ClientCore;
  region: ReceiveRegion;
  sendPool: BlockPool;
  carryPool: BlockPool;
  flusher: TurnFlusher;
  nowMs: () => number;
  notice: (text: string) => void;
}

/** One address to keep a connection to. */
interface Target {
  readonly host: string;
  readonly port: number;
  readonly label: string;
  /** Identity that answered there last. */
  identity: string | undefined;
  retryMs: number;
  /** When the link that stands came up. */
  upSinceMs: number | undefined;
  timer: NodeJS.Timeout | undefined;
  socket: StreamSocket | undefined;
  link: ServerLink | undefined;
  /** Set when the cluster no longer knows a server there. */
  forgotten: boolean;
  whenEnded: (() => void) | undefined;
  lastError: string;
}

/** Keeps one connection to each memory server that membership names, and makes it anew when it ends. */
export class ServerDialer {
  readonly #options: ServerDialerOptions;
  readonly #targets = new Map<string, Target>();
  readonly #byLink = new Map<ServerLink, Target>();
  #stopped = false;

  constructor(options: ServerDialerOptions) {
    this.#options = options;
  }

  /** A memory server is said to be at this address. */
  add(host: string, port: number, label: string): void {
    const key = `${host}:${port}`;
    const known = this.#targets.get(key);
    if (known !== undefined) {
      known.forgotten = false;
      return;
    }
    if (this.#targets.size >= limits.memoryServersMax) return;
    const target: Target = {
      host,
      port,
      label,
      identity: undefined,
      retryMs: limits.linkRetryMsMin,
      upSinceMs: undefined,
      timer: undefined,
      socket: undefined,
      link: undefined,
      forgotten: false,
      whenEnded: undefined,
      lastError: "",
    };
    this.#targets.set(key, target);
    this.#dial(target);
  }

  /** No memory server is known at this address any more: a connection that stands stays, no new one is made. */
  remove(host: string, port: number): void {
    const target = this.#targets.get(`${host}:${port}`);
    if (target === undefined) return;
    target.forgotten = true;
    if (target.socket === undefined) this.#drop(target);
  }

  #drop(target: Target): void {
    clearTimeout(target.timer);
    this.#targets.delete(`${target.host}:${target.port}`);
  }

  #dial(target: Target): void {
    target.timer = undefined;
    if (this.#stopped) return;
    const { core, region, sendPool, carryPool, flusher, nowMs } = this.#options;
    const out = new OutQueue(sendPool, () => socket.markDirty(), core.counters.sent);
    const socket: StreamSocket = new StreamSocket(
      out,
      {
        receive: (bytes, start, end) => this.#receive(target, bytes, start, end),
        drained: () => flusher.wake(),
        ended: (error) => this.#ended(target, error),
      },
      { region, carryPool, flusher },
    );
    let link: ServerLink;
    try {
      link = core.openLink(out, nowMs());
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      return this.#dialLater(target, error.message);
    }
    target.socket = socket;
    target.link = link;
    this.#byLink.set(link, target);
    socket.attach((into, onRead) => {
      const raw = connectRaw({ host: target.host, port: target.port }, into, onRead);
      raw.once("connect", () => flusher.wake());
      return raw;
    });
  }

  #receive(target: Target, bytes: Uint8Array, start: number, end: number): number {
    const link = target.link!;
    const wasUp = link.up;
    const taken = link.receive(bytes, start, end, this.#options.nowMs());
    if (!wasUp && link.up) this.#up(target, link);
    if (link.closed !== undefined) target.socket?.finish();
    return taken;
  }

  #up(target: Target, link: ServerLink): void {
    const { core, notice } = this.#options;
    const { identity, name } = core.table.at(link.holder);
    if (target.identity !== undefined && target.identity !== identity) {
      core.serverLost(target.identity, `another process answers at ${target.host}:${target.port}`);
    }
    if (target.identity !== identity)
      notice(`linked to memory server "${name}" at ${target.host}:${target.port}`);
    target.identity = identity;
    target.upSinceMs = this.#options.nowMs();
  }

  /** The core has given the link up: nothing more is expected of the other side, not even to read. */
  linkClosed(link: ServerLink): void {
    this.#byLink.get(link)?.socket?.destroy();
  }

  #ended(target: Target, error: Error | undefined): void {
    const { core } = this.#options;
    const link = target.link!;
    const why = link.closed ?? error ?? new NswapError("PEER_CLOSED", "the connection ended");
    core.linkEnded(link);
    this.#byLink.delete(link);
    target.socket = undefined;
    target.link = undefined;
    target.whenEnded?.();
    if (target.forgotten || this.#stopped) return this.#drop(target);
    // Only a link that lasted makes the pauses short again: a welcome may be followed by the same error every time.
    if (this.#options.nowMs() - (target.upSinceMs ?? Number.POSITIVE_INFINITY) > limits.linkRetryMsMax) {
      target.retryMs = limits.linkRetryMsMin;
      target.lastError = "";
    }
    target.upSinceMs = undefined;
    this.#dialLater(target, why.message);
  }

  #dialLater(target: Target, why: string): void {
    if (why !== target.lastError) {
      target.lastError = why;
      this.#options.notice(
        `no link to "${target.label}" at ${target.host}:${target.port}: ${why}; trying again`,
      );
    }
    target.timer = setTimeout(() => this.#dial(target), target.retryMs);
    target.retryMs = Math.min(target.retryMs * 2, limits.linkRetryMsMax);
  }

  /** Ends all connections after what is queued was sent; resolves when they are gone. */
  async finish(): Promise<void> {
    this.#stopped = true;
    const open = [...this.#targets.values()].filter((target) => target.socket !== undefined);
    for (const target of this.#targets.values()) clearTimeout(target.timer);
    await Promise.all(
      open.map(
        (target) =>
          new Promise<void>((resolve) => {
            target.whenEnded = resolve;
            target.socket?.finish();
          }),
      ),
    );
  }

  /** Ends all connections at once. */
  stop(): void {
    this.#stopped = true;
    for (const target of [...this.#targets.values()]) {
      clearTimeout(target.timer);
      target.socket?.destroy();
    }
  }
}
