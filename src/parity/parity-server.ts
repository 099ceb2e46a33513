import type { Capacity, GroupMember, Mismatch } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { invariant } from "../base/assert.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { FrameTable } from "../client/frame-table.ts";
import type { ServerLink } from "../client/server-link.ts";
import type { ClientRecord, ClientTable } from "../server/client-table.ts";
import type { DataServer } from "../server/data-server.ts";
import type { FrameStore } from "../server/frame-store.ts";
import { MemoryServerCore, type MemoryServerOptions, type ServerSnapshot } from "../server/memory-server.ts";
import type { ServerConnection } from "../server/server-connection.ts";
import { Engine } from "./engine.ts";
import { GroupTable } from "./group-table.ts";
import { newParityCounters, type ParityCounters, type ScrubSnapshot } from "./parity-counters.ts";
import type { ParityPort } from "./parity-port.ts";
import { type ParityHost, ParityRequests } from "./parity-requests.ts";
import { Scrubber } from "./scrubber.ts";
import { ServerLinks } from "./server-links.ts";
import { ServerTable } from "./server-table.ts";

export interface ParityServerOptions extends Omit<MemoryServerOptions, "extension"> {
  /** Where pages are computed: the work frames come from here, and what links receive and send must lie here too. */
  arena: Arena;
  port: ParityPort;
  /** Default: limits.parityWorkFrames; a page of the arena each, and two more. */
  workFrames?: number;
  /** Frames that are kept for COMPOSE. Default: by limits.parityReserveShare. */
  composeFrames?: number;
  /** Groups that the background scrub looks at in one tick; 0: none. Default: limits.parityScrubPerTick. */
  scrubPerTick?: number;
  /** Links to memory servers. Default: limits.parityLinksMax. */
  linksMax?: number;
}

export interface ParitySnapshot extends ServerSnapshot {
  /** Parity pages whose members are known. */
  groups: number;
  /** Entries of RECOVER, COMPOSE and REBUILD: under way, and not begun. */
  jobs: { running: number; waiting: number };
  /** Links to memory servers that stand or are being made. */
  links: number;
  /** Memory servers that groups, connections and links name. */
  servers: number;
  parity: ParityCounters;
  scrub: ScrubSnapshot;
}

/** The longest RECOVER: 16 pages of 8 sources each, which starts with all its frames. */
const WORK_FRAMES_MIN = 160;

/** Frames that are kept for COMPOSE. */
function reserveOf(capacityFrames: number): number {
  const { parityReserveShare, parityReserveMax, parityReserveFrom } = limits;
  if (capacityFrames < parityReserveFrom) return 0;
  return Math.min(parityReserveMax, Math.floor(capacityFrames * parityReserveShare));
}

/**
 * A parity server without its sockets: parity pages of clients, the members of their groups, and the work on pages
 * that clients ask for (compose, rebuild, recover), over links to memory servers. The driver treats its connections
 * as those of a memory server, and makes the links that `ParityPort.wanted` names.
 */
export class ParityServerCore implements DataServer {
  /** Pages on their way; all are free when nothing is under way. */
  readonly frames: FrameTable;
  readonly #server: MemoryServerCore;
  readonly #servers = new ServerTable();
  readonly #groups = new GroupTable(this.#servers);
  readonly #counters = newParityCounters();
  readonly #engine: Engine;
  readonly #links: ServerLinks;
  readonly #scrubber: Scrubber;
  #nowMs = 0;
  #tickedMs: number | undefined;
  /** Time in which the server ran. */
  #clockMs = 0;

  constructor(options: ParityServerOptions) {
    const { arena, name, nonce, port, log } = options;
    const prover = options.prover;
    const workFrames = options.workFrames ?? limits.parityWorkFrames;
    invariant(workFrames >= WORK_FRAMES_MIN, `a parity server has ${WORK_FRAMES_MIN} work frames or more`);
    this.frames = new FrameTable(arena, workFrames);
    this.#server = new MemoryServerCore({
      ...options,
      extension: {
        reserveFrames: options.composeFrames ?? reserveOf(options.capacityFrames),
        connected: (server, client, out, touch) => new ParityRequests(host, server, client, out, touch),
        released: (frame) => this.#groups.clear(frame),
      },
    });
    const { clients, store } = this.#server;
    const frames = this.frames;
    const servers = this.#servers;
    const groups = this.#groups;
    const counters = this.#counters;
    this.#engine = new Engine({ arena, frames, store, groups, servers, counters }, () => this.#links);
    const engine = this.#engine;
    const isKnown = (client: ClientRecord): boolean => clients.at(client.index) === client;
    this.#links = new ServerLinks({
      ...{ arena, frames, servers, port, pages: engine, counters },
      ...{ name, nonce, prover, isKnown, linksMax: options.linksMax ?? limits.parityLinksMax },
    });
    const perTick = options.scrubPerTick ?? limits.parityScrubPerTick;
    const connections = new Set<ParityRequests>();
    const tell = (client: ClientRecord, mismatch: Readonly<Mismatch>): void => {
      for (const connection of connections) if (connection.client === client) connection.mismatch(mismatch);
    };
    this.#scrubber = new Scrubber({ engine, store, clients, groups, servers, log, perTick, tell });
    const host: ParityHost = { arena, frames, groups, servers, engine, counters, log, connections };
  }

  connect(out: OutQueue, onClosed?: () => void): ServerConnection {
    return this.#server.connect(out, onClosed);
  }

  /**
   * A transport to this memory server, in the name of this client, is being opened: what the link sends is in `out`,
   * of a pool in the arena; bytes that it receives lie in the arena. Throws NswapError if it is not wanted any more
   * or there is no room for it: then `unreachable`, and no transport.
   */
  openLink(client: string, server: string, out: OutQueue, nowMs: number): ServerLink {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    return this.#links.open(this.#server.clients.find(client), server, out, nowMs);
  }

  /** The link's connection is over, or never came to be. To be followed by `flush`, as all that comes from outside. */
  linkEnded(link: ServerLink): void {
    this.#links.ended(link);
  }

  /** There is no way to this memory server now: what waits for it fails at once. */
  unreachable(client: string, server: string): void {
    this.#links.unreachable(this.#server.clients.find(client), server);
  }

  /** Checks all groups as soon as may be; `snapshot().scrub` tells how far it is. */
  scrub(): void {
    this.#scrubber.start();
  }

  /** End of a turn: jobs go on, answers and what goes to memory servers are encoded. */
  flush(): void {
    do {
      this.#engine.startSome();
      this.#scrubber.flush();
      this.#links.flush(this.#nowMs);
      // A driver that knows no way says so at once, and frames are free again.
    } while (this.#engine.startSome());
    this.#server.flush();
  }

  tick(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - (this.#tickedMs ?? nowMs));
    this.#tickedMs = nowMs;
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#clockMs += Math.min(elapsedMs, limits.serverTickMsMax);
    this.#server.tick(nowMs);
    this.#links.tick(nowMs, this.#clockMs, elapsedMs - limits.serverTickMsMax);
    this.#scrubber.tick();
  }

  /** As MemoryServerCore.end. */
  end(): void {
    this.#server.end();
  }

  /** Pages that it makes of others now. */
  get jobsRunning(): number {
    return this.#engine.running;
  }

  get capacity(): Capacity {
    return this.#server.capacity;
  }

  snapshot(): ParitySnapshot {
    return {
      ...this.#server.snapshot(),
      groups: this.#groups.count,
      jobs: { running: this.jobsRunning, waiting: this.#engine.waiting },
      links: this.#links.count,
      servers: this.#servers.count,
      parity: { ...this.#counters },
      scrub: this.#scrubber.snapshot,
    };
  }

  /** As MemoryServerCore.visitPages: parity pages, by their group ids. */
  visitPages(visit: (identity: string, pageId: number, slot: number, frame: number) => void): void {
    this.#server.visitPages(visit);
  }

  /** Shows the members of a client's group; the identity of a server is "" if it is not known. False: no such group. */
  visitMembers(
    client: string,
    group: number,
    visit: (pageId: number, checksum: number, server: string) => void,
  ): boolean {
    const frame = this.#server.frameOf(client, group);
    if (frame < 0 || this.#groups.membersOf(frame) === 0) return false;
    const member: GroupMember = { pageId: 0, checksum: 0, server: 0 };
    for (let i = 0; i < this.#groups.membersOf(frame); i += 1) {
      this.#groups.member(frame, i, member);
      visit(member.pageId, member.checksum, this.#servers.identity(member.server));
    }
    return true;
  }

  /** Where the parity pages are; for tests and simulation. */
  get store(): FrameStore {
    return this.#server.store;
  }

  /** Whose they are; for tests and simulation. */
  get clients(): ClientTable {
    return this.#server.clients;
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
    this.#engine.check();
    const { free, count } = this.frames;
    invariant(this.#engine.open > 0 || free === count, "without work no frame is in use");
  }
}
