import type { BlockPool } from "../base/blocks.ts";
import type { NswapError } from "../base/errors.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { Traffic } from "../base/traffic.ts";
import { connectRaw } from "./raw-socket.ts";
import type { ReceiveRegion } from "./receive-region.ts";
import { StreamSocket } from "./stream-socket.ts";
import type { TurnFlusher } from "./turn-flusher.ts";

/** Who answers on a link: its identity in hexadecimal, and its name. */
export interface LinkPeer {
  readonly identity: string;
  readonly name: string;
}

/** The sans-IO end of a connection that is dialled. */
export interface DialledLink {
  receive(bytes: Uint8Array, start: number, end: number, nowMs: number): number;
  /** Why it is over, if it is. */
  readonly closed: Error | undefined;
  /** True while the other side has welcomed us. */
  readonly up: boolean;
  /** Who has welcomed us. */
  readonly peer: LinkPeer | undefined;
}

/** What the sockets of links share. */
export interface LinkSocketOptions {
  readonly region: ReceiveRegion;
  readonly sendPool: BlockPool;
  readonly carryPool: BlockPool;
  readonly flusher: TurnFlusher;
  readonly nowMs: () => number;
  /** Counts what is sent. */
  readonly sent?: Traffic;
  /** See StreamSocket. */
  readonly failed?: (error: NswapError) => void;
}

/** What the one who dials is told of a connection: perhaps `up`, then `ended`, each once. */
export interface LinkEvents {
  up?(): void;
  ended(error: Error | undefined): void;
}

/** One attempt at a connection to another node, between a link of a core and a socket. */
export class LinkSocket<L extends DialledLink> {
  readonly link: L;
  readonly #socket: StreamSocket;
  readonly #events: LinkEvents;
  readonly #nowMs: () => number;

  /** Begins to connect. What `openLink` throws comes through; then nothing was begun. */
  constructor(
    address: { host: string; port: number },
    openLink: (out: OutQueue) => L,
    events: LinkEvents,
    options: LinkSocketOptions,
  ) {
    const { region, sendPool, carryPool, flusher, sent, failed } = options;
    this.#events = events;
    this.#nowMs = options.nowMs;
    const out = new OutQueue(sendPool, () => socket.markDirty(), sent);
    const socket: StreamSocket = new StreamSocket(
      out,
      {
        receive: (bytes, start, end) => this.#receive(bytes, start, end),
        drained: () => flusher.wake(),
        ended: (error) => {
          events.ended(error);
          // What was on its way goes another way now, and not at the next tick only.
          flusher.wake();
        },
      },
      { region, carryPool, flusher, failed },
    );
    this.#socket = socket;
    this.link = openLink(out);
    socket.attach((into, onRead) => {
      const raw = connectRaw({ host: address.host, port: address.port }, into, onRead);
      raw.once("connect", () => flusher.wake());
      return raw;
    });
  }

  #receive(bytes: Uint8Array, start: number, end: number): number {
    const wasUp = this.link.up;
    const taken = this.link.receive(bytes, start, end, this.#nowMs());
    if (!wasUp && this.link.up) this.#events.up?.();
    if (this.link.closed !== undefined) this.#socket.finish();
    return taken;
  }

  /** Closes after what is queued was sent. */
  finish(): void {
    this.#socket.finish();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }
}

/** True if nobody listens at the address, at any of those that a host's name stands for. */
export function isRefusal(error: Error | undefined): boolean {
  if (error instanceof AggregateError) return error.errors.every(isRefusal);
  return (error as NodeJS.ErrnoException | undefined)?.code === "ECONNREFUSED";
}
