import type { Capacity } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { NswapError } from "../base/errors.ts";
import type { OutQueue } from "../base/out-queue.ts";
import type { ServerLink } from "../client/server-link.ts";
import type { DataServer } from "../server/data-server.ts";
import { MemoryServerCore, type MemoryServerOptions, type ServerSnapshot } from "../server/memory-server.ts";
import type { ServerConnection } from "../server/server-connection.ts";
import { newParityCounters, type ParityCounters, type ScrubSnapshot } from "./parity-counters.ts";
import type { ParityPort } from "./parity-port.ts";

export interface ParityServerOptions extends Omit<MemoryServerOptions, "extension"> {
  /** Where pages are computed: the work frames come from here, and what links receive and send must lie here too. */
  arena: Arena;
  port: ParityPort;
  /** Default: limits.parityWorkFrames; a page of the arena each, and two more. */
  workFrames?: number;
  /** Groups that the background scrub looks at in one tick; 0: none. Default: limits.parityScrubPerTick. */
  scrubPerTick?: number;
}

export interface ParitySnapshot extends ServerSnapshot {
  /** Parity pages whose members are known. */
  groups: number;
  /** Entries of RECOVER, COMPOSE and REBUILD: under way, and not begun. */
  jobs: { running: number; waiting: number };
  /** Links to memory servers that stand. */
  links: number;
  parity: ParityCounters;
  scrub: ScrubSnapshot;
}

/**
 * A parity server without its sockets: parity pages of clients, the members of their groups, and the work on pages
 * that clients ask for (compose, rebuild, recover), over links to memory servers. The driver treats its connections
 * as those of a memory server, and makes the links that `ParityPort.wanted` names.
 */
export class ParityServerCore implements DataServer {
  readonly #server: MemoryServerCore;

  constructor(options: ParityServerOptions) {
    this.#server = new MemoryServerCore({
      ...options,
      extension: { connected: () => undefined as never, released: () => {} },
    });
  }

  connect(out: OutQueue, onClosed?: () => void): ServerConnection {
    return this.#server.connect(out, onClosed);
  }

  /**
   * A transport to this memory server, in the name of this client, is being opened: what the link sends is in `out`,
   * of a pool in the arena; bytes that it receives lie in the arena. Throws NswapError if it is not wanted any more
   * or there is no room for it: then `unreachable`, and no transport.
   */
  openLink(_client: string, _server: string, _out: OutQueue, _nowMs: number): ServerLink {
    throw new NswapError("INTERNAL", "not built yet");
  }

  /** The link's connection is over, or never came to be. */
  linkEnded(_link: ServerLink): void {}

  /** There is no way to this memory server now: what waits for it fails at once. */
  unreachable(_client: string, _server: string): void {}

  /** Checks all groups as soon as may be; `snapshot().scrub` tells how far it is. */
  scrub(): void {}

  /** End of a turn: jobs go on, answers and what goes to memory servers are encoded. */
  flush(): void {
    this.#server.flush();
  }

  tick(nowMs: number): void {
    this.#server.tick(nowMs);
  }

  get capacity(): Capacity {
    return this.#server.capacity;
  }

  snapshot(): ParitySnapshot {
    return {
      ...this.#server.snapshot(),
      groups: 0,
      jobs: { running: 0, waiting: 0 },
      links: 0,
      parity: newParityCounters(),
      scrub: { running: false, position: 0, end: 0, scrubbed: 0, skipped: 0, mismatches: 0, passes: 0 },
    };
  }

  /** As MemoryServerCore.visitPages: parity pages, by their group ids. */
  visitPages(visit: (identity: string, pageId: number, slot: number, frame: number) => void): void {
    this.#server.visitPages(visit);
  }

  /** Shows the members of a client's group; the identity of a server is "" if it is not known. False: no such group. */
  visitMembers(
    _client: string,
    _group: number,
    _visit: (pageId: number, checksum: number, server: string) => void,
  ): boolean {
    return false;
  }

  frameOf(identity: string, pageId: number): number {
    return this.#server.frameOf(identity, pageId);
  }

  readFrame(frame: number, into: Uint8Array, at: number): void {
    this.#server.readFrame(frame, into, at);
  }

  /** Asserts that the books balance; for tests and simulation. */
  check(): void {
    this.#server.check();
  }
}
