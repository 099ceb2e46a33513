import { type NbdExport, NbdExportTable, NbdExtents, type NbdSessionError } from "nbd-server-protocol";
import type { Arena } from "../base/arena.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { Admission } from "./admission.ts";
import type { ClientCore } from "./client-core.ts";
import { type ClientLimits, clientLimits } from "./client-limits.ts";
import type { ClientRequest } from "./client-request.ts";
import { NbdConnection, type NbdConnectionPort } from "./nbd-connection.ts";

export interface NbdFrontOptions {
  arena: Arena;
  core: ClientCore;
  exportName: string;
  sizeBytes: number;
  /** Bytes that answers to all connections may queue. */
  answerBytesMax: number;
  /** Default: those of production. */
  limits?: ClientLimits;
  /** Sees to it that `flush` is called at the end of the turn. */
  wake: () => void;
  notice: Notice;
}

/** The NBD side of a client: its export, its connections, and what they share. */
export class NbdFront {
  readonly arena: Arena;
  readonly core: ClientCore;
  readonly admission: Admission;
  readonly limits: ClientLimits;
  readonly extents = new NbdExtents(limits.blockStatusExtentsMax);
  readonly wake: () => void;
  requestsInFlight = 0;
  /** Slots that may still be zeroed, and looked at for BLOCK_STATUS, in this turn. */
  zeroBudget: number;
  lookBudget: number;
  readonly #exports: NbdExportTable;
  readonly #notice: Notice;
  readonly #connections = new Set<NbdConnection>();
  readonly #zeroing: ClientRequest[] = [];
  #tickedMs: number | undefined;
  #toOffer: NbdConnection[] = [];
  #offering: NbdConnection[] = [];

  constructor(options: NbdFrontOptions) {
    this.arena = options.arena;
    this.core = options.core;
    this.wake = options.wake;
    this.#notice = options.notice;
    this.limits = options.limits ?? clientLimits;
    this.zeroBudget = this.limits.zeroSlotsPerTurn;
    this.lookBudget = this.limits.blockStatusSlotsPerTurn;
    this.admission = new Admission(options.core.frames.admitted, options.answerBytesMax, this.limits);
    this.#exports = new NbdExportTable([
      describeExport(options.exportName, options.sizeBytes, this.limits.nbdRequestBytesMax),
    ]);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Connections that have chosen the export: those that would miss it. */
  get clientsServed(): number {
    let served = 0;
    for (const { session } of this.#connections) if (session.export !== undefined) served += 1;
    return served;
  }

  /** Who these are, for people: the first few, and how many more. */
  get peersServed(): string {
    const peers: string[] = [];
    for (const { session, peer } of this.#connections) if (session.export !== undefined) peers.push(peer);
    const more = peers.length - limits.peersNamedMax;
    return peers.slice(0, limits.peersNamedMax).join(", ") + (more > 0 ? `, and ${more} more` : "");
  }

  connect(out: OutQueue, port: NbdConnectionPort, nowMs: number): NbdConnection {
    for (const other of this.#connections) other.otherComes();
    const connection = new NbdConnection(this, out, this.#exports, port, nowMs);
    this.#connections.add(connection);
    return connection;
  }

  /** A connection's session has ended. */
  connectionClosed(connection: NbdConnection, reason: NbdSessionError | undefined): void {
    this.#connections.delete(connection);
    if (reason !== undefined && reason.code !== "connection-lost") {
      this.#notice("an NBD client is disconnected", { why: reason.message });
    }
  }

  /** The rest of a long range of zeros is for the next turn. */
  zeroLater(request: ClientRequest): void {
    this.#zeroing.push(request);
    this.wake();
  }

  /** The connection may be able to go on with what it left: it is asked at the end of the turn. */
  offerLater(connection: NbdConnection): void {
    if (connection.offered) return;
    connection.offered = true;
    this.#toOffer.push(connection);
    this.wake();
  }

  /** End of a turn: goes on with long ranges of zeros, and lets waiting requests in. */
  flush(): void {
    this.zeroBudget = this.limits.zeroSlotsPerTurn;
    this.lookBudget = this.limits.blockStatusSlotsPerTurn;
    while (this.zeroBudget > 0 && this.#zeroing.length > 0) {
      const request = this.#zeroing.shift()!;
      request.connection.zeroSome(request);
    }
    if (this.#zeroing.length > 0) this.wake();
    this.admission.advance();
    const now = this.#toOffer;
    this.#toOffer = this.#offering;
    this.#offering = now;
    for (let i = 0; i < now.length; i += 1) {
      now[i]!.offered = false;
      now[i]!.retry();
    }
    now.length = 0;
  }

  tick(nowMs: number): void {
    // Nobody was idle while we did not run ourselves.
    const passedMs = nowMs - (this.#tickedMs ?? nowMs);
    const ranMs = Math.min(passedMs, limits.clientTickMsMax);
    this.#tickedMs = nowMs;
    for (const connection of this.#connections) connection.tick(nowMs, ranMs, passedMs - ranMs);
    this.admission.tick(nowMs);
  }

  /** The client is stopping: what is in flight is answered, all further is refused. */
  shutDown(): void {
    for (const connection of this.#connections) connection.session.shutDown();
  }
}

function describeExport(name: string, sizeBytes: number, requestBytesMax: number): NbdExport {
  return {
    name,
    description: "swap on the memory of other machines",
    sizeBytes,
    readOnly: false,
    canFlush: true,
    canFua: true,
    canTrim: true,
    canWriteZeroes: true,
    canFastZero: true,
    canCache: true,
    // All connections share one core: what one was answered, the others see.
    canMultiConn: true,
    blockSize: { minimum: 1, preferred: PAGE_BYTES, maximum: requestBytesMax },
  };
}
