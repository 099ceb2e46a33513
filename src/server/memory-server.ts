import {
  type Capacity,
  HEADER_BYTES,
  type Hello,
  highWord,
  lowWord,
  META_BYTES,
  PAGES_PER_FRAME_MAX,
  PeerError,
  type Prover,
  Role,
  WireError,
} from "../../proto/peer/index.ts";
import type { BlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { type ClientRecord, ClientTable } from "./client-table.ts";
import type { DataServer } from "./data-server.ts";
import { FrameStore } from "./frame-store.ts";
import { newPageMeta } from "./page-meta.ts";
import { type ConnectionHost, ServerConnection } from "./server-connection.ts";
import { newServerCounters, type ServerCounters } from "./server-counters.ts";
import type { ServerExtension } from "./server-extension.ts";

export interface MemoryServerOptions {
  /** 16 bytes, unique to this process. */
  identity: Uint8Array;
  name: string;
  /** Most pages held. */
  capacityFrames: number;
  /** Knows the cluster key, if there is one. */
  prover?: Prover | undefined;
  /** 32 fresh random bytes with each call. */
  nonce: () => Uint8Array;
  /** Secret random 32 bits. */
  hashSeed: number;
  /** The pool that the connections' queues take from: `soft` and `max` blocks, of at least limits.dataBlockBytes. */
  blocks?: { pool: Pick<BlockPool, "taken">; soft: number; max: number };
  /** Where the server says what happened to it. */
  log?: Pick<Log, "info" | "warn">;
  /** How long a vanished client's pages are kept. */
  clientGraceMs?: number;
  clientsMax?: number;
  /** Pages of gone clients freed in one tick. */
  reapFramesPerTick?: number;
  storeChunkBytes?: number;
  /** Bytes of answers queued on one connection before its requests are left unread. */
  queueBytesSoft?: number;
  /** Frames examined for one connection's LIST in one turn. */
  listScanFramesMax?: number;
  /** What makes a parity server of it. */
  extension?: ServerExtension;
}

/** What one client has here. */
export interface ClientSnapshot {
  name: string;
  identity: string;
  pages: number;
  connections: number;
}

export interface ServerSnapshot {
  frames: Capacity;
  pagesHeld: number;
  connections: number;
  clients: ClientSnapshot[];
  /** Clients whose pages are being freed. */
  clientsLeaving: number;
  counters: ServerCounters;
}

/** Blocks that the longest answer may need: pages do not straddle blocks, and the first may begin in a used one. */
const ANSWER_BLOCKS_MAX =
  1 +
  Math.ceil(
    (HEADER_BYTES + PAGES_PER_FRAME_MAX * (META_BYTES + PAGE_BYTES)) / (limits.dataBlockBytes - PAGE_BYTES),
  );

/**
 * A memory server without its sockets: pages of clients, keyed by (client, page id). The driver gives each
 * connection its bytes, calls `flush` when a turn of bytes is over, and `tick` several times a second.
 */
export class MemoryServerCore implements DataServer {
  readonly clients: ClientTable;
  readonly store: FrameStore;
  readonly #options: MemoryServerOptions;
  readonly #counters = newServerCounters();
  readonly #connections = new Set<ServerConnection>();
  readonly #capacity: Capacity = { free: 0, limit: 0, used: 0 };
  readonly #host: ConnectionHost;
  readonly #touched: (ServerConnection | undefined)[] = [];
  #touchedCount = 0;
  #lastTickMs: number | undefined;
  /** Time in which the server ran. */
  #clockMs = 0;
  #ending = false;

  constructor(options: MemoryServerOptions) {
    this.#options = options;
    const clientsMax = options.clientsMax ?? limits.clientsPerServerMax;
    this.store = new FrameStore({
      capacityFrames: options.capacityFrames,
      ownersMax: clientsMax,
      hashSeed: options.hashSeed,
      chunkBytes: options.storeChunkBytes ?? limits.storeChunkBytes,
      released: options.extension && ((frame) => options.extension?.released(frame)),
      reserveFrames: options.extension?.reserveFrames ?? 0,
    });
    const graceMs = options.clientGraceMs ?? limits.clientGraceMs;
    this.clients = new ClientTable(this.store, { clientsMax, graceMs });
    this.#host = this.#makeHost();
  }

  #makeHost(): ConnectionHost {
    const core = this;
    return {
      store: this.store,
      counters: this.#counters,
      prover: this.#options.prover,
      role: this.#role,
      queueBytesSoft: this.#options.queueBytesSoft ?? limits.dataQueueBytesSoft,
      listScanFramesMax: this.#options.listScanFramesMax ?? limits.listScanFramesMax,
      get capacity() {
        return core.capacity;
      },
      get answersWelcome() {
        const blocks = core.#options.blocks;
        return blocks === undefined || blocks.pool.taken < blocks.soft;
      },
      get answerFits() {
        const blocks = core.#options.blocks;
        return blocks === undefined || blocks.pool.taken + ANSWER_BLOCKS_MAX <= blocks.max;
      },
      hello: () => this.#hello(),
      admit: (hello, connection) => this.#admit(hello, connection),
      leave: (client) => this.#leave(client),
      touch: (connection) => this.#touch(connection),
      over: (connection) => this.#over(connection),
      extend: (client, out, touch) => this.#options.extension?.connected(this.#host, client, out, touch),
    };
  }

  get #role(): ConnectionHost["role"] {
    return this.#options.extension === undefined ? Role.SERVER : Role.PARITY;
  }

  /** Frames as of now; the object is reused by each call. */
  get capacity(): Capacity {
    const capacity = this.#capacity;
    capacity.limit = this.store.limit;
    capacity.used = this.store.used;
    capacity.free = this.store.freeToPut;
    return capacity;
  }

  /**
   * A transport has come; answers go to `out`. `onClosed` is called once if the connection is closed from this side:
   * what is queued is to be sent, then the transport closed.
   */
  connect(out: OutQueue, onClosed?: () => void): ServerConnection {
    const connection = new ServerConnection(this.#host, out, onClosed);
    this.#connections.add(connection);
    this.#counters.connectionsMade += 1;
    return connection;
  }

  /** End of a turn: acknowledgements of all connections that had something are encoded. */
  flush(): void {
    // The list keeps its length: setting that costs as much as a page.
    for (let i = 0; i < this.#touchedCount; i += 1) {
      this.#touched[i]!.flush();
      this.#touched[i] = undefined;
    }
    this.#touchedCount = 0;
  }

  #touch(connection: ServerConnection): void {
    this.#touched[this.#touchedCount] = connection;
    this.#touchedCount += 1;
  }

  /**
   * Time has come to `nowMs`: silent connections are closed, pages of gone clients are freed. A tick counts for
   * limits.serverTickMsMax at most: after a pause of this process its clients have not been silent, it was deaf.
   */
  tick(nowMs: number): void {
    const elapsedMs = nowMs - (this.#lastTickMs ?? nowMs);
    this.#lastTickMs = nowMs;
    this.#clockMs += Math.max(0, Math.min(elapsedMs, limits.serverTickMsMax));
    for (const connection of this.#connections) connection.tick(this.#clockMs);
    const framesMax = this.#options.reapFramesPerTick ?? limits.reapFramesPerTickMax;
    this.#counters.reaped += this.clients.tick(this.#clockMs, framesMax);
  }

  /** The process is about to end, and what it holds with it: for what is said of clients from now on. */
  end(): void {
    this.#ending = true;
  }

  snapshot(): ServerSnapshot {
    const clients: ClientSnapshot[] = [];
    for (const client of this.clients.known) {
      clients.push({
        name: client.name,
        identity: client.identity,
        pages: this.store.countOf(client.index),
        connections: client.connections.size,
      });
    }
    return {
      frames: { ...this.capacity },
      pagesHeld: this.store.held,
      connections: this.#connections.size,
      clients,
      clientsLeaving: this.clients.leavingCount,
      counters: { ...this.#counters },
    };
  }

  /** Shows every page held: whose, and its frame; for tests and simulation. */
  visitPages(visit: (identity: string, pageId: number, slot: number, frame: number) => void): void {
    const meta = newPageMeta();
    for (const { identity, index } of this.clients.known) {
      for (let frame = 0; frame < this.store.scanEnd; frame += 1) {
        if (!this.store.describe(frame, index, meta)) continue;
        const pageId = meta.idHigh * 2 ** 32 + meta.idLow;
        visit(identity, pageId, meta.slotHigh * 2 ** 32 + meta.slotLow, frame);
      }
    }
  }

  /** The frame that holds a client's page, or -1; for tests and simulation. */
  frameOf(identity: string, pageId: number): number {
    const client = this.clients.find(identity);
    return client === undefined ? -1 : this.store.find(client.index, lowWord(pageId), highWord(pageId));
  }

  /** Copies the page in a frame that `visitPages` or `frameOf` gave to `at` of `into`; for tests, simulation. */
  readFrame(frame: number, into: Uint8Array, at: number): void {
    this.store.read(frame, 1, into, at);
  }

  /** Asserts that the books balance; for tests and simulation, since it walks everything. */
  check(): void {
    this.store.check();
  }

  #hello(): Hello {
    return {
      role: this.#role,
      keyed: this.#options.prover !== undefined,
      identity: this.#options.identity,
      nonce: this.#options.nonce(),
      epoch: 0,
      pagesPerFrame: PAGES_PER_FRAME_MAX,
      name: this.#options.name,
    };
  }

  #admit(hello: Hello, connection: ServerConnection): ClientRecord {
    const client = this.clients.admit(hello, connection);
    if (client.connections.size === 1 && hello.role === Role.CLIENT) {
      const pages = this.store.countOf(client.index);
      this.#options.log?.info("client connected", { client: client.name, epoch: client.epoch, pages });
    }
    return client;
  }

  #leave(client: ClientRecord): void {
    const pages = this.store.countOf(client.index);
    this.#options.log?.info("client left", { client: client.name, pages });
    this.clients.leave(client);
  }

  #over(connection: ServerConnection): void {
    this.#connections.delete(connection);
    const { client, closed } = connection;
    if (client !== undefined) this.clients.disconnected(client, connection);
    if (closed instanceof PeerError) this.#countError(closed, client);
    const last = client?.connections.size === 0 && !connection.fromParity;
    if (client !== undefined && last && closed !== "ended") {
      const pages = this.store.countOf(client.index);
      const fate = this.#ending ? "end with this server" : "are kept";
      this.#options.log?.info(`client disconnected, its pages ${fate}`, { client: client.name, pages });
    }
  }

  #countError(error: PeerError, client: ClientRecord | undefined): void {
    if (error.wireCode === WireError.PROTOCOL) this.#counters.protocolErrors += 1;
    else this.#counters.connectionsRefused += 1;
    this.#options.log?.warn("connection closed", { client: client?.name ?? "(unknown)", why: error.message });
  }
}
