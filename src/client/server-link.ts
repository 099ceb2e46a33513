import {
  ACK_ENTRY_BYTES,
  AckStatus,
  beginPutPage,
  CAPACITY_BYTES,
  type Capacity,
  FrameReader,
  FrameType,
  GROUPS_PER_FRAME_MAX,
  getCapacity,
  getMismatch,
  getResult,
  getWide,
  Handshake,
  META_BYTES,
  MISMATCH_BYTES,
  type Mismatch,
  PageStatus,
  PeerError,
  putBare,
  putMeta,
  RESULT_ENTRY_BYTES,
  type Result,
  Role,
  remoteError,
  WireError,
} from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { NswapError } from "../base/errors.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { Operation } from "../redundancy/operation.ts";
import { FrameQueue } from "./frame-queue.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";
import { GetQueue } from "./get-queue.ts";
import { InvalidateBatch } from "./invalidate-batch.ts";
import { putLastWord } from "./last-word.ts";
import type { LinkOptions, LinkPort } from "./link-options.ts";
import { ListQuestion } from "./list-question.ts";
import type { ParityRequests } from "./parity-requests.ts";
import { Ping } from "./ping.ts";
import { Asked, Window } from "./window.ts";

/**
 * The client's side of a connection to one memory server: handshake, batches out, answers in. What the core asks
 * for during a turn is gathered and encoded at its end, so that pages of a turn share frames and system calls.
 */
export class ServerLink {
  readonly out: OutQueue;
  /** Index of the holder behind it, once it is up. */
  holder = -1;
  lastHeardMs = 0;
  /** Most pages that the server takes in a frame, as it has said. */
  pagesMax = 1;
  /** When the list of what the server holds is to be asked for once more. */
  listAgainAtMs = Number.POSITIVE_INFINITY;
  readonly #arena: Arena;
  readonly #frames: FrameTable;
  readonly #port: LinkPort;
  readonly #queueBytesSoft: number;
  readonly #reader: FrameReader;
  readonly #handshake: Handshake;
  readonly #window: Window;
  readonly #gets: GetQueue;
  /** Accumulators to be put at the end of the turn. */
  readonly #parities: FrameQueue;
  readonly #role: Role;
  readonly #parity: ParityRequests | undefined;
  readonly #groups: number[] = [];
  readonly #result: Result = { seq: 0, index: 0, status: 0, checksum: 0 };
  readonly #mismatch: Mismatch = { groupId: 0, pageId: 0, handle: 0 };
  readonly #invalid: InvalidateBatch;
  readonly #ping: Ping;
  readonly #list: ListQuestion;
  readonly #capacity: Capacity = { free: 0, limit: 0, used: 0 };
  #nowMs = 0;
  #goodbyeDue = false;
  #entryFrame = NO_FRAME;
  #entryIndex = -1;
  #closed: Error | undefined;

  constructor(out: OutQueue, options: LinkOptions) {
    this.out = out;
    this.#arena = options.arena;
    this.#frames = options.frames;
    this.#port = options.port;
    this.#queueBytesSoft = options.queueBytesSoft;
    this.#role = options.role ?? Role.SERVER;
    this.#parity = options.parity?.requests;
    this.#window = new Window(options.frames.total + (options.parity?.operationsMax ?? 0));
    this.#parities = new FrameQueue(options.frames);
    this.#gets = new GetQueue(out, options.frames);
    this.#handshake = new Handshake("connector", options.own, out, options.prover);
    this.#reader = new FrameReader(this);
    this.#invalid = new InvalidateBatch(out, () => this.hasRoom);
    this.#ping = new Ping(out);
    this.#list = new ListQuestion(out);
    this.#handshake.start();
  }

  get closed(): Error | undefined {
    return this.#closed;
  }

  get up(): boolean {
    return this.#closed === undefined && this.#handshake.complete;
  }

  get peer(): { identity: string; name: string } | undefined {
    const hello = this.#handshake.complete ? this.#handshake.peer : undefined;
    return hello === undefined ? undefined : { identity: toHex(hello.identity), name: hello.name };
  }

  /** True while there is room for what is long or may wait. */
  get hasRoom(): boolean {
    return this.out.queuedBytes <= this.#queueBytesSoft && this.out.poolIsRoomy && !this.#window.crowded;
  }

  /** Shows the frames of reads that were asked for before `ms`, and of those that wait behind such a request. */
  visitReadsBefore(ms: number, visit: (frame: number) => void): void {
    const { next } = this.#frames;
    if ((this.#window.oldestSentAtMs ?? ms) >= ms) return;
    this.#window.visitBefore(Asked.GET, ms, next, visit);
    for (let frame = this.#gets.head; frame !== NO_FRAME; frame = next[frame]!) visit(frame);
  }

  /** Shows the frames of pages that were put before `ms` and are not acknowledged. */
  visitWritesBefore(ms: number, visit: (frame: number) => void): void {
    this.#window.visitBefore(Asked.PUT, ms, this.#frames.next, visit);
  }

  /** True while an answer is due to something that was sent. */
  get owed(): boolean {
    return this.#window.outstanding > 0 || this.#ping.isOwed || this.#list.isOwed;
  }

  /** True while something waits to be encoded or sent. */
  get hasMore(): boolean {
    return this.out.queuedBytes > 0 || this.#gets.length > 0 || this.#parities.length > 0;
  }

  receive(bytes: Uint8Array, start: number, end: number, nowMs: number): number {
    if (this.#closed !== undefined) return end - start;
    this.#nowMs = nowMs;
    this.lastHeardMs = nowMs;
    try {
      const taken = this.#reader.receive(bytes, start, end);
      if (this.#window.outOfOrder)
        throw new PeerError(WireError.PROTOCOL, "answers thousands of requests out of order");
      return taken;
    } catch (error) {
      // Whatever else is thrown is a defect of ours. No room for this link is no reason to end all others.
      if (!(error instanceof PeerError || error instanceof NswapError)) throw error;
      if (this.#closed === undefined && error instanceof PeerError && !error.remote)
        putLastWord(this.out, error);
      this.#closed ??= error;
      return end - start;
    }
  }

  close(error: Error): void {
    this.#closed ??= error;
  }

  /**
   * Sends PUTPAGE for `count` frames (`pagesMax` at most) from the queue's front; the core has set holder, page id and
   * checksum. Throws LIMIT_REACHED; the link owns the frames then too, and is to be dropped.
   */
  putPages(queue: FrameQueue, count: number, nowMs: number): void {
    const head = queue.head;
    const { pageId, slot, checksum, next } = this.#frames;
    let last = head;
    for (let i = 0; i < count; i += 1) last = queue.shift();
    next[last] = NO_FRAME;
    const seq = this.#enter(Asked.PUT, head, count, nowMs);
    let meta = beginPutPage(this.out, count, seq);
    for (let frame = head; frame !== NO_FRAME; frame = next[frame]!) {
      putMeta(this.out.view, meta, pageId[frame]!, slot[frame]!, checksum[frame]!, 0);
      meta += META_BYTES;
    }
    for (let frame = head; frame !== NO_FRAME; frame = next[frame]!) {
      this.#arena.copy(this.out.reserve(PAGE_BYTES), this.#frames.address(frame), PAGE_BYTES);
    }
  }

  /** Sends the page of this accumulator's frame at the end of the turn; a parity server is told its group, the slot. */
  putParity(frame: number): void {
    this.#parities.push(frame);
  }

  #flushParities(nowMs: number): void {
    const count = Math.min(this.#parities.length, GROUPS_PER_FRAME_MAX, this.pagesMax);
    this.#groups.length = count;
    for (let i = 0, frame = this.#parities.head; i < count; i += 1, frame = this.#frames.next[frame]!)
      this.#groups[i] = this.#frames.slot[frame]!;
    this.putPages(this.#parities, count, nowMs);
    this.#parity?.describe(this.#groups);
  }

  /** Sends GROUPS for one group again. Throws LIMIT_REACHED. */
  describe(group: number): void {
    this.#parity?.describe([group]);
  }

  /** Sends COMPOSE or REBUILD at once. Throws LIMIT_REACHED; the operation is the link's then too. */
  operate(operation: Operation, nowMs: number): void {
    this.#parity?.operate(operation, this.#enter(Asked.OPERATION, operation.index, 1, nowMs));
  }

  /** Asks a parity server for this frame's page at once. Throws LIMIT_REACHED; the frame is the link's then too. */
  recover(frame: number, operation: Operation, nowMs: number): void {
    this.#frames.next[frame] = NO_FRAME;
    this.#parity?.recover(operation, this.#enter(Asked.GET, frame, 1, nowMs));
  }

  /** Asks for the page of this frame at the end of the turn. */
  getPage(frame: number): void {
    this.#gets.push(frame);
  }

  /** The server may drop the page, and say what room it has then. Never fails: lists find what finds no room here. */
  invalidate(pageId: number, asksRoom = false): void {
    this.#invalid.add(pageId);
    if (asksRoom) this.#ping.askRoom();
  }

  /** Asks for the list of what the server holds for us. */
  list(): void {
    if (this.#list.isOpen) return;
    this.listAgainAtMs = Number.POSITIVE_INFINITY;
    this.#list.begin();
    this.#port.listing?.(this, false);
  }

  /**
   * Why the link is to be given up now, if it is; an idle one is asked for a sign of life. `deafMs` is how long the
   * client itself did not run: in that time no server was silent.
   */
  overdue(nowMs: number, deafMs: number): NswapError | undefined {
    if (deafMs > 0) this.lastHeardMs = Math.min(nowMs, this.lastHeardMs + deafMs);
    const silentMs = nowMs - this.lastHeardMs;
    const silentMsMax = this.up ? limits.linkSilenceMsMax : limits.linkConnectMsMax;
    if ((this.owed || !this.up) && silentMs > silentMsMax) {
      return new NswapError("PEER_SILENT", `silent for ${Math.round(silentMs)} ms`, { retry: true });
    }
    if (deafMs <= 0 && nowMs - (this.#window.oldestSentAtMs ?? nowMs) > limits.linkAnswerMsMax) {
      const why = `no answer to a request for ${limits.linkAnswerMsMax} ms`;
      return new NswapError("PEER_SILENT", why, { retry: true });
    }
    if (this.up && nowMs >= this.listAgainAtMs) this.list();
    else if (this.up && silentMs > limits.linkPingMs) this.#ping.ask();
    return undefined;
  }

  /** The client leaves for good: the server may drop all its pages. */
  goodbye(): void {
    this.#goodbyeDue = this.up;
  }

  /** Asks for the pages that were gathered: ahead of what is put in the same turn, since somebody waits for them. */
  ask(nowMs: number): void {
    while (this.#gets.length > 0) {
      const count = Math.min(this.#gets.length, this.pagesMax);
      // Once it is taken and entered, what cannot be encoded is given back by `surrender`, once.
      const head = this.#gets.take(count);
      this.#gets.encode(this.#enter(Asked.GET, head, count, nowMs), head, count);
    }
  }

  /** End of the turn: encodes what was gathered; on a tick also what waited for company. Throws LIMIT_REACHED. */
  flush(nowMs: number, isTick: boolean): void {
    while (this.#parities.length > 0) this.#flushParities(nowMs);
    this.ask(nowMs);
    this.#invalid.flush(isTick || this.#ping.isForRoom);
    if (this.#invalid.dropped && !this.#list.isOpen && this.hasRoom) {
      this.#invalid.dropped = false;
      this.list();
    }
    if (this.#list.isReady) {
      this.#willOwe(nowMs);
      this.#list.send();
    }
    if (this.#ping.flush(this.owed, nowMs)) this.lastHeardMs = Math.max(this.lastHeardMs, nowMs);
    if (this.#goodbyeDue) putBare(this.out, FrameType.GOODBYE);
    this.#goodbyeDue = false;
  }

  /** The silence of a link counts from when it began to owe something. */
  #willOwe(nowMs: number): void {
    if (!this.owed) this.lastHeardMs = Math.max(this.lastHeardMs, nowMs);
  }

  #enter(kind: number, head: number, count: number, nowMs: number): number {
    this.#willOwe(nowMs);
    return this.#window.enter(kind, head, count, nowMs);
  }

  /** After the link ended: hands back every frame and operation that waited for an answer, oldest first. */
  surrender(
    put: (frame: number) => void,
    get: (frame: number) => void,
    operation?: (index: number) => void,
  ): void {
    const each = (kind: number, head: number): void => {
      if (kind === Asked.OPERATION) return operation?.(head);
      for (let frame = head; frame !== NO_FRAME; ) {
        const next = this.#frames.next[frame]!;
        if (kind === Asked.PUT) put(frame);
        else get(frame);
        frame = next;
      }
    };
    while (this.#window.takeOldest(each));
    for (let frame = this.#parities.shift(); frame !== NO_FRAME; frame = this.#parities.shift()) put(frame);
    for (let frame = this.#gets.shift(); frame !== NO_FRAME; frame = this.#gets.shift()) get(frame);
    this.#entryFrame = NO_FRAME;
  }

  // FrameHandler

  header(reader: FrameReader): boolean {
    // Given up by what a frame before it brought: the rest of what was read with that is nobody's.
    if (this.#closed !== undefined) throw new NswapError("PEER_CLOSED", "the link was given up");
    if (!this.#handshake.complete) this.#handshake.expect(reader);
    else if (!this.#isExpected(reader)) {
      const what = `${reader.typeName} (sequence ${reader.seq})`;
      throw new PeerError(WireError.PROTOCOL, `${what} answers nothing we asked`);
    }
    return true;
  }

  #isExpected(reader: FrameReader): boolean {
    switch (reader.type) {
      case FrameType.ACK:
      case FrameType.ERROR:
        return true;
      case FrameType.PAGES:
        return this.#pagesExpected(reader);
      case FrameType.LISTING:
        return this.#list.isOwed;
      case FrameType.RESULT:
      case FrameType.MISMATCH:
        return this.#parity !== undefined;
      default:
        return reader.type === FrameType.PONG && this.#ping.isOwed;
    }
  }

  #pagesExpected({ seq, count }: FrameReader): boolean {
    if (!this.#window.has(Asked.GET, seq) || this.#window.count(seq) !== count) return false;
    this.#entryFrame = this.#window.head(seq);
    this.#entryIndex = 0;
    return true;
  }

  body(reader: FrameReader): void {
    if (reader.type === FrameType.PAGES) this.#checkEntries(reader);
  }

  #checkEntries(reader: FrameReader): void {
    let frame = this.#window.head(reader.seq);
    for (let i = 0; i < reader.count; i += 1) {
      if (getWide(reader.body, i * META_BYTES) !== this.#frames.pageId[frame]) {
        throw new PeerError(WireError.PROTOCOL, `PAGES: entry ${i} is not the page we asked for`);
      }
      frame = this.#frames.next[frame]!;
    }
  }

  page(
    _reader: FrameReader,
    index: number,
    _bytes: Uint8Array,
    start: number,
    end: number,
    position: number,
  ): void {
    while (this.#entryIndex < index) {
      this.#entryFrame = this.#frames.next[this.#entryFrame]!;
      this.#entryIndex += 1;
    }
    // The receive region lies in the arena, so `start` is an address.
    this.#arena.copy(this.#frames.address(this.#entryFrame) + position, start, end - start);
  }

  end(reader: FrameReader): void {
    if (!this.#handshake.complete) {
      this.#handshake.take(reader);
      if (this.#handshake.complete) this.#welcomed(reader);
      return;
    }
    switch (reader.type) {
      case FrameType.ACK:
        return this.#acked(reader);
      case FrameType.PAGES:
        return this.#arrived(reader);
      case FrameType.LISTING:
        return this.#listed(reader);
      case FrameType.RESULT:
        return this.#results(reader);
      case FrameType.MISMATCH:
        return this.#mismatches(reader);
      case FrameType.PONG:
        this.#port.answered(this, this.#ping.answered(this.#nowMs));
        return this.#reportCapacity(reader);
      case FrameType.ERROR:
        throw remoteError(reader);
    }
  }

  #welcomed(reader: FrameReader): void {
    const hello = this.#handshake.peer!;
    if (hello.role !== this.#role) {
      const expected = this.#role === Role.PARITY ? "parity" : "memory";
      throw new PeerError(WireError.PROTOCOL, `"${hello.name}" is no ${expected} server`);
    }
    this.pagesMax = hello.pagesPerFrame;
    getCapacity(reader.body, 0, this.#capacity);
    this.#port.linkUp(this, hello, this.#capacity);
  }

  #reportCapacity(reader: FrameReader): void {
    getCapacity(reader.body, 0, this.#capacity);
    this.#port.capacity(this, this.#capacity);
  }

  #acked(reader: FrameReader): void {
    // Before the entries: one that says FULL counts for more than figures with room, or it would be asked for ever.
    this.#reportCapacity(reader);
    for (let i = 0; i < reader.count; i += 1) {
      const at = CAPACITY_BYTES + i * ACK_ENTRY_BYTES;
      const { body } = reader;
      this.#ackedOne(body.getUint32(at, true), body.getUint16(at + 4, true), body.getUint16(at + 6, true));
    }
  }

  #ackedOne(seq: number, accepted: number, status: number): void {
    const count = this.#window.has(Asked.PUT, seq) ? this.#window.count(seq) : -1;
    const fits = status === AckStatus.OK ? accepted === count : status === AckStatus.FULL && accepted < count;
    if (count < 0 || !fits) {
      throw new PeerError(
        WireError.PROTOCOL,
        `ACK: sequence ${seq}, ${accepted} accepted, status ${status}, of ${count}`,
      );
    }
    let frame = this.#window.head(seq);
    this.#port.answered(this, this.#nowMs - this.#window.sentAtMs(seq));
    this.#window.leave(seq);
    for (let i = 0; frame !== NO_FRAME; i += 1) {
      const next = this.#frames.next[frame]!;
      if (i < accepted) this.#port.pageHeld(this, frame);
      else this.#port.pageRefused(this, frame);
      frame = next;
    }
  }

  #arrived(reader: FrameReader): void {
    let frame = this.#window.head(reader.seq);
    this.#port.answered(this, this.#nowMs - this.#window.sentAtMs(reader.seq));
    this.#window.leave(reader.seq);
    this.#entryFrame = NO_FRAME;
    for (let i = 0; frame !== NO_FRAME; i += 1) {
      const next = this.#frames.next[frame]!;
      if (reader.pageStatus(i) === PageStatus.OK) this.#port.pageArrived(this, frame, reader.pageChecksum(i));
      else this.#port.pageMissing(this, frame);
      frame = next;
    }
  }

  #results(reader: FrameReader): void {
    this.#reportCapacity(reader);
    for (let i = 0; i < reader.count; i += 1) {
      getResult(reader.body, CAPACITY_BYTES + i * RESULT_ENTRY_BYTES, this.#result);
      const { seq, index, status, checksum } = this.#result;
      if (index !== 0 || !this.#window.has(Asked.OPERATION, seq))
        throw new PeerError(WireError.PROTOCOL, `RESULT: sequence ${seq}, entry ${index} answers nothing`);
      const operation = this.#window.head(seq);
      this.#window.leave(seq);
      this.#port.operationDone?.(operation, status, checksum);
    }
  }

  #mismatches(reader: FrameReader): void {
    for (let i = 0; i < reader.count; i += 1) {
      getMismatch(reader.body, i * MISMATCH_BYTES, this.#mismatch);
      const { handle, groupId, pageId } = this.#mismatch;
      this.#port.mismatchFound?.(this, handle, groupId, pageId);
    }
  }

  #listed(reader: FrameReader): void {
    for (let i = 0; i < reader.count; i += 1) {
      const at = i * META_BYTES;
      this.#port.pageListed(this, getWide(reader.body, at), getWide(reader.body, at + 8));
    }
    if (this.#list.answered(reader.aux)) this.#port.listing?.(this, true);
  }
}
