import type { Capacity } from "../../proto/peer/index.ts";

/** server: memory server; parity: parity server. */
export type HolderRole = "server" | "parity";

/** up: pages go to and fro; away: unreachable, may come back with its pages; dead: provably gone with its pages. */
export type HolderState = "up" | "away" | "dead";

const LATENCY_WEIGHT = 0.1;

/**
 * One life of a memory server, as a client sees it: a row of the IPTable. A restarted server is another holder, and so
 * is, for pages that a server does not have any more, what it was when it had them (`past`).
 */
export class Holder {
  /** Index in the shadow slot map. */
  readonly index: number;
  readonly name: string;
  /** Identity in hexadecimal. */
  readonly identity: string;
  readonly identityBytes: Uint8Array;
  state: HolderState = "away";
  /** Slots that mean a page of this holder. */
  livePages = 0;
  /** Members and parity pages of groups, and operations, that name it: its row is needed while there are any. */
  references = 0;
  /** Pages sent and not yet acknowledged. */
  unackedPages = 0;
  /** It said FULL and has not reported room since. */
  full = false;
  /** Smoothed time from request to answer. */
  latencyMs = 0;
  /** It stood then: what it was asked at that time it has answered. */
  stoodMs = 0;
  /** It gave bytes that are not what was sent, or lacked a page. */
  suspect = false;
  readonly role: HolderRole;
  /** What became of its pages, once it is dead. */
  readonly fate: string;
  /** Its life with the pages that it does not have any more: a dead one. */
  past: Holder | undefined;
  readonly #capacity: Capacity = { free: 0, limit: 0, used: 0 };

  constructor(index: number, name: string, identity: string, role: HolderRole = "server", fate = "is gone") {
    this.index = index;
    this.role = role;
    this.fate = fate;
    this.name = name;
    this.identity = identity;
    this.identityBytes = Buffer.from(identity, "hex");
  }

  get capacity(): Readonly<Capacity> {
    return this.#capacity;
  }

  /** Free frames as far as known: the last report less what is on its way. May be wrong, also below 0. */
  get freeEstimate(): number {
    return this.#capacity.free - this.unackedPages;
  }

  /**
   * What is on its way to it may take all frames that it has, those included that a parity server keeps for COMPOSE.
   * Where nothing is, it can be asked: the figures may be old.
   */
  get isTakenUp(): boolean {
    return this.unackedPages > 0 && !this.hasFrame;
  }

  /** A frame is left by what is on its way to it, as far as known: one perhaps that only COMPOSE may take. */
  get hasFrame(): boolean {
    const { limit, used } = this.#capacity;
    return limit - used > this.unackedPages;
  }

  /** Less than a sixteenth of its frames are free. */
  get shortOfRoom(): boolean {
    return this.#capacity.limit > 0 && this.freeEstimate * 16 < this.#capacity.limit;
  }

  /** Fresh figures from the server itself. */
  report(capacity: Readonly<Capacity>): void {
    this.#capacity.free = capacity.free;
    this.#capacity.limit = capacity.limit;
    this.#capacity.used = capacity.used;
    this.full = capacity.free === 0;
  }

  /** It has answered, at `nowMs`, what it was asked `ms` before. */
  answered(ms: number, nowMs: number): void {
    this.observeLatency(ms);
    this.stoodMs = Math.max(this.stoodMs, nowMs - ms);
  }

  observeLatency(ms: number): void {
    this.latencyMs += (ms - this.latencyMs) * LATENCY_WEIGHT;
  }
}
