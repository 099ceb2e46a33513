import { NswapError } from "../base/errors.ts";
import type { HostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { type DialledLink, LinkSocket, type LinkSocketOptions } from "./link-socket.ts";

/** A core that says itself when it wants a link, and to whom. Identities are 32 hexadecimal digits. */
export interface DemandingCore<L extends DialledLink> {
  /** A connection to this memory server, in the name of this client, is being made. Throws NswapError to forbid it. */
  openLink(client: string, server: string, out: OutQueue, nowMs: number): L;
  linkEnded(link: L): void;
  /** There is no way to this memory server now. */
  unreachable(client: string, server: string): void;
}

export interface DemandDialerOptions<L extends DialledLink> extends LinkSocketOptions {
  readonly core: DemandingCore<L>;
}

/** Connects a parity server's core with memory servers as it wants them: one attempt each time. */
export class DemandDialer<L extends DialledLink> {
  readonly #options: DemandDialerOptions<L>;
  readonly #addresses = new Map<string, HostPort>();
  readonly #sockets = new Map<L, LinkSocket<L>>();
  #stopped = false;

  constructor(options: DemandDialerOptions<L>) {
    this.#options = options;
  }

  /** Connections that stand or are being made. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** The memory server of this identity is at this address. */
  found(server: string, address: HostPort): void {
    this.#addresses.delete(server);
    if (this.#addresses.size >= limits.memoryServersMax) {
      const [oldest] = this.#addresses.keys();
      this.#addresses.delete(oldest!);
    }
    this.#addresses.set(server, address);
  }

  /** The memory server of this identity is gone for good. */
  gone(server: string): void {
    this.#addresses.delete(server);
  }

  /** The core wants a link. It is in the middle of its turn, so the answer comes in the next. */
  wanted(client: string, server: string): void {
    setImmediate(() => {
      if (!this.#stopped) this.#dial(client, server);
    });
  }

  #dial(client: string, server: string): void {
    const { core, flusher, nowMs } = this.#options;
    const address = this.#addresses.get(server);
    if (address === undefined) core.unreachable(client, server);
    else {
      try {
        const socket: LinkSocket<L> = new LinkSocket(
          address,
          (out) => core.openLink(client, server, out, nowMs()),
          { ended: () => this.#ended(socket.link) },
          this.#options,
        );
        this.#sockets.set(socket.link, socket);
      } catch (error) {
        if (!(error instanceof NswapError)) throw error;
        core.unreachable(client, server);
      }
    }
    flusher.wake();
  }

  #ended(link: L): void {
    this.#sockets.delete(link);
    this.#options.core.linkEnded(link);
  }

  /** The core has given the link up. */
  linkClosed(link: L): void {
    this.#sockets.get(link)?.destroy();
  }

  /** Ends all connections at once, and makes no new one. */
  stop(): void {
    this.#stopped = true;
    for (const socket of [...this.#sockets.values()]) socket.destroy();
  }
}
