import { type Hello, PeerError, Role, WireError } from "../../proto/peer/index.ts";
import { invariant } from "../base/assert.ts";
import type { FrameStore } from "./frame-store.ts";

/** A connection as its client's record sees it. */
export interface ClientConnection {
  /** Ends it with an ERROR. */
  close(error: PeerError | "ended"): void;
}

/** One client identity whose pages are (or may be) held. */
export interface ClientRecord {
  /** Its owner index in the store. */
  readonly index: number;
  /** Its identity in hexadecimal. */
  readonly identity: string;
  name: string;
  /** The newest instance seen. */
  epoch: number;
  /** Those of the client itself. */
  readonly connections: Set<ClientConnection>;
  /** Those of parity servers, which move its pages. They keep nothing alive. */
  readonly parityConnections: Set<ClientConnection>;
  /** When the tick first found it without a connection of its own. */
  goneSinceMs: number | undefined;
}

/**
 * The clients of a memory server.
 *
 *     present <-> away (no connection) -> leaving (its pages are freed, a few a tick) -> forgotten
 *        \------- GOODBYE ------------------^
 *
 * A leaving client is unknown already: one that comes with its identity is a new one. A client that only parity
 * servers are connected for is away.
 */
export class ClientTable {
  readonly #store: FrameStore;
  readonly #graceMs: number;
  readonly #known = new Map<string, ClientRecord>();
  readonly #byIndex: (ClientRecord | undefined)[] = [];
  readonly #leaving: ClientRecord[] = [];
  readonly #freeIndices: number[] = [];
  readonly #countMax: number;

  constructor(store: FrameStore, options: { clientsMax: number; graceMs: number }) {
    this.#store = store;
    this.#graceMs = options.graceMs;
    this.#countMax = options.clientsMax;
    for (let index = options.clientsMax - 1; index >= 0; index -= 1) this.#freeIndices.push(index);
  }

  /** Clients that are present or away. */
  get known(): Iterable<ClientRecord> {
    return this.#known.values();
  }

  /** The client of this identity, if it is present or away. */
  find(identity: string): ClientRecord | undefined {
    return this.#known.get(identity);
  }

  /** The client with this owner index, if it is present or away. */
  at(index: number): ClientRecord | undefined {
    return this.#byIndex[index];
  }

  get knownCount(): number {
    return this.#known.size;
  }

  /** Clients whose pages are being freed. */
  get leavingCount(): number {
    return this.#leaving.length;
  }

  /**
   * A connection has proved who it is; throws PeerError if that one is not welcome. A parity server's is taken
   * whatever its epoch, and has no part in the client's epoch, name and grace time.
   */
  admit(hello: Hello, connection: ClientConnection): ClientRecord {
    const identity = Buffer.from(hello.identity).toString("hex");
    const record = this.#known.get(identity) ?? this.#newRecord(identity, hello);
    if (hello.role === Role.PARITY) {
      record.parityConnections.add(connection);
      return record;
    }
    if (hello.epoch < record.epoch) {
      throw new PeerError(
        WireError.STALE_EPOCH,
        `"${hello.name}" comes with epoch ${hello.epoch}; epoch ${record.epoch} of this client was here already`,
      );
    }
    if (hello.epoch > record.epoch) this.#renew(record, hello);
    record.name = hello.name;
    record.goneSinceMs = undefined;
    record.connections.add(connection);
    return record;
  }

  #renew(record: ClientRecord, hello: Hello): void {
    record.epoch = hello.epoch;
    for (const older of [...record.connections]) {
      older.close(
        new PeerError(
          WireError.STALE_EPOCH,
          `a newer instance of this client (epoch ${hello.epoch}) has come`,
        ),
      );
    }
  }

  #newRecord(identity: string, hello: Hello): ClientRecord {
    if (this.#freeIndices.length === 0) this.#forgetOneWithoutPages();
    const index = this.#freeIndices.pop();
    if (index === undefined) {
      throw new PeerError(
        WireError.TOO_MANY_CLIENTS,
        `this server holds pages of ${this.#countMax} clients, which is its limit`,
      );
    }
    const record: ClientRecord = {
      index,
      identity,
      name: hello.name,
      epoch: hello.role === Role.PARITY ? 0 : hello.epoch,
      connections: new Set(),
      parityConnections: new Set(),
      goneSinceMs: undefined,
    };
    this.#known.set(identity, record);
    this.#byIndex[index] = record;
    return record;
  }

  /** Makes room by the first client that is away and has nothing here. */
  #forgetOneWithoutPages(): void {
    for (const record of this.#known.values()) {
      const connections = record.connections.size + record.parityConnections.size;
      if (connections > 0 || this.#store.countOf(record.index) > 0) continue;
      this.#forget(record);
      this.#freeIndices.push(record.index);
      return;
    }
  }

  /** A connection is over; its client's pages stay. */
  disconnected(record: ClientRecord, connection: ClientConnection): void {
    record.connections.delete(connection);
    record.parityConnections.delete(connection);
  }

  /** The client leaves for good: its connections are closed and its pages go. */
  leave(record: ClientRecord): void {
    for (const connection of [...record.connections, ...record.parityConnections]) connection.close("ended");
    const left = record.connections.size + record.parityConnections.size;
    invariant(left === 0, "a closed connection has left its client");
    this.#forget(record);
    this.#leaving.push(record);
  }

  #forget(record: ClientRecord): void {
    this.#known.delete(record.identity);
    this.#byIndex[record.index] = undefined;
  }

  /** Lets those go that were away too long, and frees up to `framesMax` pages; returns how many. */
  tick(nowMs: number, framesMax: number): number {
    for (const record of this.#known.values()) {
      if (record.connections.size > 0) continue;
      record.goneSinceMs ??= nowMs;
      if (nowMs - record.goneSinceMs >= this.#graceMs) this.leave(record);
    }
    let freed = 0;
    while (this.#leaving.length > 0) {
      const record = this.#leaving[0]!;
      freed += this.#store.dropSome(record.index, framesMax - freed);
      if (this.#store.countOf(record.index) > 0) break;
      this.#leaving.shift();
      this.#freeIndices.push(record.index);
    }
    return freed;
  }
}
