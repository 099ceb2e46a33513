import { readU16, readU32, readU64 } from "./bytes.ts";
import { MAGIC_REQUEST, NbdAllocation, NbdCommand, NbdErrno, REQUEST_HEADER_BYTES } from "./constants.ts";
import { NbdSessionError, NbdUsageError } from "./errors.ts";
import { type NbdExtent, NbdExtents } from "./extents.ts";
import type { NbdHandler } from "./handler.ts";
import type { SessionHost } from "./host.ts";
import { appendBytes, appendZeroes } from "./output.ts";
import * as replies from "./replies.ts";
import { type NbdRequest, RequestPool, RequestStatus } from "./request.ts";
import { type Agreement, REFUSED_SHUTDOWN, type Refusal, RequestRules } from "./rules.ts";
import { Scratch } from "./scratch.ts";
import type { NbdServerSession } from "./session.ts";
import { encodeUtf8 } from "./utf8.ts";

/** Longest message that a handler's error carries; the rest is cut. UTF-16 units. */
const MESSAGE_MAX = 1000;
const NO_MESSAGE = new Uint8Array(0);
const ERRORS: ReadonlySet<number> = new Set(Object.values(NbdErrno));

/** A message as strings of the protocol must be: not too long, and without NUL. */
function encodeMessage(message: string): Uint8Array {
  return encodeUtf8(message.slice(0, MESSAGE_MAX).replaceAll("\0", " "));
}

/**
 * The transmission phase: requests in, answers out.
 *
 * The input is a sequence of headers, each WRITE's followed by its payload. Exactly one of these holds between
 * two steps: a payload is being read (#payloadLeft > 0), a request is held because the handler said "not now"
 * (#held), or a header is next.
 */
export class Transmission {
  readonly agreement: Agreement;
  readonly #host: SessionHost;
  readonly #handler: NbdHandler;
  readonly #rules: RequestRules;
  readonly #pool: RequestPool;
  readonly #scratch = new Scratch(REQUEST_HEADER_BYTES);
  #extents: NbdExtents | undefined;
  #inFlight = 0;
  /** Bytes of payload still to come, for #payloadOf, or to be dropped for #failing. */
  #payloadLeft = 0;
  #payloadOf: NbdRequest | undefined;
  /** The WRITE whose payload is being dropped, and the error it is answered with after that. */
  #failing: NbdRequest | undefined;
  #failingError = 0;
  #failingMessage: Uint8Array = NO_MESSAGE;
  #held: NbdRequest | undefined;
  /** The held request is being offered at this moment, and resume() was called meanwhile. */
  #offering = false;
  #offerAgain = false;
  /** DISC was received: nothing more is read. */
  #leaving = false;
  #over = false;

  constructor(host: SessionHost, handler: NbdHandler, session: NbdServerSession, agreement: Agreement) {
    this.#host = host;
    this.#handler = handler;
    this.agreement = agreement;
    this.#rules = new RequestRules(agreement);
    this.#pool = new RequestPool(session);
    this.#scratch.expect(REQUEST_HEADER_BYTES);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get payloadLeft(): number {
    return this.#payloadLeft;
  }

  get leaving(): boolean {
    return this.#leaving;
  }

  /** No header is read now. A payload that was begun still is. */
  get stalled(): boolean {
    return this.#held !== undefined || this.#inFlight >= this.#host.limits.requestsInFlightMax;
  }

  /** Consumes bytes[at, end) as far as it can; returns where it stopped. */
  receive(bytes: Uint8Array, at: number, end: number): number {
    while (at < end && !this.#over) {
      if (this.#payloadLeft > 0 && this.#held === undefined) {
        at = this.#readPayload(bytes, at, end);
      } else if (this.#leaving || this.stalled) {
        break;
      } else if (this.#scratch.filled === 0 && end - at >= REQUEST_HEADER_BYTES) {
        this.#readHeader(bytes, at);
        at += REQUEST_HEADER_BYTES;
      } else {
        at = this.#scratch.fill(bytes, at, end);
        if (!this.#scratch.complete) break;
        this.#scratch.expect(REQUEST_HEADER_BYTES);
        this.#readHeader(this.#scratch.bytes, 0);
      }
    }
    return at;
  }

  /** Offers the held request again. */
  resume(): void {
    if (this.#offering) {
      this.#offerAgain = true;
      return;
    }
    const held = this.#held;
    if (held === undefined || this.#over) return;
    this.#held = undefined;
    if (this.#host.stopping) this.#refuse(held, REFUSED_SHUTDOWN);
    else this.#offer(held);
  }

  /** The session is closed: gives up all requests and returns those that were taken. */
  abandon(): NbdRequest[] {
    this.#over = true;
    this.#held = undefined;
    this.#payloadOf = undefined;
    this.#failing = undefined;
    return this.#pool.taken();
  }

  replyOk(request: NbdRequest): void {
    if (!this.#answerable(request)) return;
    const { command } = request;
    if (command === NbdCommand.READ || command === NbdCommand.BLOCK_STATUS) {
      throw new NbdUsageError("a READ is answered with its data, a BLOCK_STATUS with its extents");
    }
    if (request === this.#payloadOf) throw new NbdUsageError("a WRITE was answered before its payload came");
    replies.writeSimpleReply(this.#host.output, request, 0);
    this.#finish(request);
  }

  replyError(request: NbdRequest, error: NbdErrno, message: string): void {
    if (!this.#answerable(request)) return;
    if (!ERRORS.has(error)) throw new NbdUsageError(`${error} is none of the protocol's error numbers`);
    const text = message === "" ? NO_MESSAGE : encodeMessage(message);
    if (request === this.#payloadOf) {
      this.#inFlight--;
      this.#failLater(request, error, text);
    } else {
      this.#writeError(request, error, text);
      this.#finish(request);
    }
  }

  /** Puts the header of the data; false if the answer is not wanted any more. */
  beginReadReply(request: NbdRequest): boolean {
    if (!this.#answerable(request)) return false;
    if (request.command !== NbdCommand.READ) throw new NbdUsageError("only a READ is answered with data");
    if (this.agreement.structuredReplies) replies.writeDataHeader(this.#host.output, request);
    else replies.writeSimpleReply(this.#host.output, request, 0);
    this.#release(request);
    return true;
  }

  /** The data of a read was appended: ends the session if that was the last answer after DISC. */
  endReadReply(): void {
    this.#settle();
  }

  replyRead(request: NbdRequest, data: Uint8Array): void {
    if (!this.#answerable(request)) return;
    if (data.length !== request.length) {
      throw new NbdUsageError(`${data.length} bytes of data for a READ of ${request.length}`);
    }
    this.beginReadReply(request);
    appendBytes(this.#host.output, data);
    this.#settle();
  }

  replyReadZeroes(request: NbdRequest): void {
    if (!this.#answerable(request)) return;
    const { length } = request;
    if (this.agreement.structuredReplies && request.command === NbdCommand.READ) {
      replies.writeHole(this.#host.output, request);
      this.#release(request);
    } else if (this.beginReadReply(request)) {
      appendZeroes(this.#host.output, length);
    }
    this.#settle();
  }

  replyBlockStatus(request: NbdRequest, given: NbdExtents | readonly NbdExtent[]): void {
    if (!this.#answerable(request)) return;
    if (request.command !== NbdCommand.BLOCK_STATUS) {
      throw new NbdUsageError("only a BLOCK_STATUS is answered with extents");
    }
    this.#extents ??= new NbdExtents(this.#host.limits.extentsMax);
    const extents = this.#extents;
    extents.assign(request.length, given);
    // "All data" is always a safe answer.
    if (extents.count === 0) extents.add(request.length, NbdAllocation.DATA);
    const count = request.onlyOneExtent ? 1 : extents.count;
    replies.writeBlockStatus(this.#host.output, request, extents, count);
    this.#finish(request);
  }

  #readHeader(bytes: Uint8Array, at: number): void {
    const magic = readU32(bytes, at);
    if (magic !== MAGIC_REQUEST) {
      const found = `0x${magic.toString(16).padStart(8, "0")}`;
      const message = `a request starts with ${found} instead of 0x${MAGIC_REQUEST.toString(16)}`;
      this.#host.close(new NbdSessionError("bad-request-magic", message));
      return;
    }
    const request = this.#pool.acquire();
    request.flags = readU16(bytes, at + 4);
    request.command = readU16(bytes, at + 6);
    request.cookieHigh = readU32(bytes, at + 8);
    request.cookieLow = readU32(bytes, at + 12);
    request.offset = readU64(bytes, at + 16);
    request.length = readU32(bytes, at + 24);
    this.#dispatch(request);
  }

  #dispatch(request: NbdRequest): void {
    if (request.command === NbdCommand.DISC) {
      this.#leaving = true;
      this.#pool.release(request);
      this.#settle();
      return;
    }
    const refusal = this.#host.stopping ? REFUSED_SHUTDOWN : this.#rules.check(request);
    if (refusal !== undefined) this.#refuse(request, refusal);
    else if (request.length === 0 && request.command !== NbdCommand.FLUSH) this.#answerEmpty(request);
    else this.#offer(request);
  }

  #offer(request: NbdRequest): void {
    if (request.command === NbdCommand.WRITE) {
      this.#payloadLeft = request.length;
      this.#payloadOf = request;
    }
    request.status = RequestStatus.TAKEN;
    this.#inFlight++;
    let taken: boolean;
    this.#offering = true;
    do {
      this.#offerAgain = false;
      taken = this.#handler.request(request);
    } while (!taken && this.#offerAgain && !this.#over);
    this.#offering = false;
    if (taken || this.#over) return;
    if (request.status !== RequestStatus.TAKEN)
      throw new NbdUsageError("a request was answered and not taken");
    this.#inFlight--;
    request.status = RequestStatus.HELD;
    this.#held = request;
  }

  /** A range of no bytes is valid and nothing to do; no handler is troubled with it. */
  #answerEmpty(request: NbdRequest): void {
    const structuredRead = this.agreement.structuredReplies && request.command === NbdCommand.READ;
    if (structuredRead) replies.writeNone(this.#host.output, request);
    else replies.writeSimpleReply(this.#host.output, request, 0);
    this.#pool.release(request);
  }

  /** Answers a request that no handler sees. The payload of a WRITE is dropped first, so that framing survives. */
  #refuse(request: NbdRequest, refusal: Refusal): void {
    const { command, flags, offset, length } = request;
    const { error, message } = refusal;
    this.#host.emit?.({ kind: "refused", command, flags, offset, length, error, message });
    if (command === NbdCommand.WRITE) {
      const bound = this.#host.limits.writeDrainBytesMax;
      if (length > bound) {
        const text = `a WRITE of ${length} bytes was refused (${message}); at most ${bound} are read and dropped`;
        this.#host.close(new NbdSessionError("write-too-long", text));
        return;
      }
      this.#payloadLeft = length;
    }
    if (this.#payloadLeft > 0) {
      this.#failLater(request, error, refusal.messageBytes);
    } else {
      this.#writeError(request, error, refusal.messageBytes);
      this.#pool.release(request);
    }
  }

  /**
   * The WRITE is answered with this error once the rest of its payload was read and dropped. To a client that is
   * still sending it, an earlier answer would be one to a request that it has not made.
   */
  #failLater(request: NbdRequest, error: number, message: Uint8Array): void {
    request.status = RequestStatus.FAILING;
    this.#payloadOf = undefined;
    this.#failing = request;
    this.#failingError = error;
    this.#failingMessage = message;
  }

  #readPayload(bytes: Uint8Array, at: number, end: number): number {
    const to = Math.min(end, at + this.#payloadLeft);
    const request = this.#payloadOf;
    const position = request === undefined ? 0 : request.length - this.#payloadLeft;
    this.#payloadLeft -= to - at;
    if (this.#payloadLeft === 0) this.#payloadOf = undefined;
    if (request !== undefined) this.#handler.payload(request, bytes, at, to, position);
    else if (this.#payloadLeft === 0) this.#fail();
    return to;
  }

  #fail(): void {
    const request = this.#failing;
    if (request === undefined) return;
    this.#failing = undefined;
    this.#writeError(request, this.#failingError, this.#failingMessage);
    this.#pool.release(request);
  }

  #writeError(request: NbdRequest, error: number, message: Uint8Array): void {
    if (this.agreement.structuredReplies) replies.writeError(this.#host.output, request, error, message);
    else replies.writeSimpleReply(this.#host.output, request, error);
  }

  #answerable(request: NbdRequest): boolean {
    if (this.#over) return false;
    if (request.status === RequestStatus.TAKEN) return true;
    throw new NbdUsageError("a request was answered twice, or was never taken");
  }

  #finish(request: NbdRequest): void {
    this.#release(request);
    this.#settle();
  }

  #release(request: NbdRequest): void {
    this.#inFlight--;
    this.#pool.release(request);
  }

  /** After DISC the session ends with the last answer. */
  #settle(): void {
    if (this.#leaving && this.#inFlight === 0 && !this.#over) this.#host.close(undefined);
  }
}
