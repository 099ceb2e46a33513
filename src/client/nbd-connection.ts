import {
  NbdAllocation,
  NbdCommand,
  NbdErrno,
  type NbdExports,
  type NbdHandler,
  type NbdRequest,
  NbdServerSession,
  type NbdSessionError,
} from "nbd-server-protocol";
import type { Arena } from "../base/arena.ts";
import { invariant } from "../base/assert.ts";
import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { Admitted } from "./admission.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientRequest } from "./client-request.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";
import type { NbdFront } from "./nbd-front.ts";

/** What a connection needs of the driver of its socket. */
export interface NbdConnectionPort {
  /** Who is there, for people: an address, or the socket that it came by. */
  readonly peer?: string;
  /** The session can take bytes again that it left. */
  resume(): void;
  /**
   * A socket that is not read does not say that nobody is there any more: finds out, and ends it if so; `atOnce` even
   * if it costs something, which is else only done now and then.
   */
  probe?(atOnce?: boolean): void;
  /** The session is over: send what is queued, then close. */
  finish(): void;
  /** Close at once: what is queued is not whole. */
  destroy(error: Error): void;
}

/**
 * One NBD client: turns its requests into reads and writes of pages.
 *
 *     session.request -> admission -> ClientRequest -> core, page by page -> completed -> session.reply…
 */
export class NbdConnection implements NbdHandler, Admitted {
  readonly session: NbdServerSession;
  readonly out: OutQueue;
  heldFrames = 0;
  idleMs = 0;
  /** The front has it on its list to be offered what it left. */
  offered = false;
  readonly #core: ClientCore;
  readonly #arena: Arena;
  readonly #front: NbdFront;
  readonly #port: NbdConnectionPort;
  readonly #spare: ClientRequest[] = [];
  /** When it began to choose an export; later by as long as the client stood still meanwhile. */
  #startedMs: number;
  #openPayloads = 0;
  #inputEnded = false;
  #ended = false;

  constructor(front: NbdFront, out: OutQueue, exports: NbdExports, port: NbdConnectionPort, nowMs: number) {
    this.#front = front;
    this.#core = front.core;
    this.#arena = front.arena;
    this.#port = port;
    this.#startedMs = nowMs;
    this.out = out;
    this.session = new NbdServerSession({
      exports,
      handler: this,
      output: out,
      limits: {
        requestsInFlightMax: front.limits.nbdRequestsInFlightMax,
        extentsMax: limits.blockStatusExtentsMax,
      },
    });
    this.session.start();
  }

  /** Who is there, for people. */
  get peer(): string {
    return this.#port.peer ?? "(unknown)";
  }

  // The driver's side

  receive(bytes: Uint8Array, start: number, end: number): number {
    invariant(bytes === this.#arena.bytes, "NBD bytes are received into the arena");
    this.idleMs = 0;
    if (this.#isOver()) return end - start;
    // What was admitted is always taken in; beyond that, a client that takes no answers is not listened to.
    if (this.#openPayloads === 0 && !this.#front.admission.takesInput(this)) return 0;
    let taken = 0;
    this.#guard(() => {
      taken = this.session.receive(bytes, start, end);
    });
    // After DISC or the end, the rest is nobody's.
    return this.#isOver() ? end - start : taken;
  }

  /** Send blocks are counted by admission; should they run out all the same, this client pays for it, alone. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      this.#port.destroy(error);
    }
  }

  #isOver(): boolean {
    return this.#ended || this.session.state === "closed" || this.session.state === "disconnecting";
  }

  /** Answers went out. */
  drained(): void {
    this.idleMs = 0;
    this.#front.offerLater(this);
  }

  /**
   * The client sends nothing more. True after DISC: it may wait for the answers to all that it asked before, and
   * clients that close their sending side with DISC do.
   */
  inputEnded(): boolean {
    this.#inputEnded = true;
    return this.session.state === "disconnecting";
  }

  /** The socket is gone. */
  disconnected(): void {
    this.session.disconnected();
  }

  /** Another client comes, perhaps after this one has gone: its writes are not to be undone by what waits here. */
  otherComes(): void {
    this.#port.probe?.(true);
  }

  /** Time passes: since the last tick `ranMs`, and `stillMs` in which the client itself did not run. */
  tick(nowMs: number, ranMs: number, stillMs: number): void {
    this.#port.probe?.();
    this.#startedMs += stillMs;
    if (this.session.state === "negotiating" && nowMs - this.#startedMs > limits.nbdNegotiationMsMax) {
      this.session.close(`no export was chosen within ${limits.nbdNegotiationMsMax} ms`);
    }
    // Whoever waits in line, doing nothing, owes nothing.
    const owes = this.#openPayloads > 0 || this.out.queuedBytes > 0;
    this.idleMs = owes ? this.idleMs + ranMs : 0;
  }

  // Admitted

  get queuedBytes(): number {
    return this.out.queuedBytes;
  }

  retry(): void {
    // What waited for one who is gone must not be done after what others have written meanwhile.
    this.#port.probe?.();
    if (this.#ended) return;
    if (this.session.stalled) this.#guard(() => this.session.resume());
    if (!this.session.stalled) this.#port.resume();
  }

  closeForContention(): void {
    this.session.close("neither takes its answers nor sends the rest of its request, while others wait");
  }

  get frames(): FrameTable {
    return this.#core.frames;
  }

  // NbdHandler

  request(nbd: NbdRequest): boolean {
    switch (nbd.command) {
      case NbdCommand.READ:
        return this.#read(nbd);
      case NbdCommand.WRITE:
        return this.#write(nbd);
      case NbdCommand.TRIM:
      case NbdCommand.WRITE_ZEROES:
        return this.#zero(nbd);
      case NbdCommand.BLOCK_STATUS:
        return this.#answerNow(nbd, limits.nbdPlainAnswerBytesMax);
      case NbdCommand.FLUSH:
        return this.#flushDevice(nbd);
      default:
        // CACHE has nothing to do.
        return this.#answerNow(nbd, 0);
    }
  }

  /** FLUSH covers writes that were answered: those are held by a server, and are protected when this is answered. */
  #flushDevice(nbd: NbdRequest): boolean {
    const request = this.#admit(nbd, 0, 0);
    if (request === undefined) return false;
    this.#core.whenProtected(() => request.settle());
    return true;
  }

  /** Answers at once, if admission agrees: answers that nobody takes use up what others need. */
  #answerNow(nbd: NbdRequest, answerBytes: number): boolean {
    const looks = nbd.command === NbdCommand.BLOCK_STATUS;
    if (looks && this.#front.lookBudget <= 0) {
      this.#front.offerLater(this);
      return false;
    }
    if (!this.#front.admission.admit(this, 0, answerBytes)) return false;
    if (looks) this.#blockStatus(nbd);
    else this.session.replyOk(nbd);
    this.#front.admission.release(this, 0, answerBytes);
    return true;
  }

  /** A request record, if admission agrees to so many frames and bytes of answer. */
  #admit(nbd: NbdRequest, frames: number, answerBytes: number): ClientRequest | undefined {
    if (!this.#front.admission.admit(this, frames, answerBytes)) return undefined;
    const request = this.#spare.pop() ?? new ClientRequest(this);
    request.begin(nbd);
    request.admittedFrames = frames;
    request.admittedBytes = answerBytes;
    nbd.user = request;
    this.#front.requestsInFlight += 1;
    return request;
  }

  #read(nbd: NbdRequest): boolean {
    const first = Math.floor(nbd.offset / PAGE_BYTES);
    const count = Math.ceil((nbd.offset + nbd.length) / PAGE_BYTES) - first;
    const request = this.#admit(nbd, count, nbd.length);
    if (request === undefined) return false;
    request.remaining += count;
    const { frames } = this.#core;
    for (let i = 0; i < count; i += 1) {
      const frame = frames.take(first + i, request);
      if (request.firstFrame === NO_FRAME) request.firstFrame = frame;
      else frames.requestNext[request.lastFrame] = frame;
      request.lastFrame = frame;
    }
    for (let frame = request.firstFrame, i = 0; i < count; i += 1) {
      const next = frames.requestNext[frame]!;
      this.#core.readPage(frame);
      frame = next;
    }
    request.settle();
    return true;
  }

  #write(nbd: NbdRequest): boolean {
    const first = Math.floor(nbd.offset / PAGE_BYTES);
    const end = nbd.offset + nbd.length;
    const count = Math.ceil(end / PAGE_BYTES) - first;
    const parts = (nbd.offset % PAGE_BYTES === 0 ? 0 : 1) + (end % PAGE_BYTES === 0 ? 0 : 1);
    const request = this.#admit(nbd, count + parts, 0);
    if (request === undefined) return false;
    request.remaining += count;
    request.payloadPages = count;
    this.#openPayloads += 1;
    return true;
  }

  payload(nbd: NbdRequest, _bytes: Uint8Array, start: number, end: number, position: number): void {
    const request = nbd.user as ClientRequest;
    const { frames } = this.#core;
    let from = start;
    let at = nbd.offset + position;
    const last = nbd.offset + nbd.length;
    while (from < end) {
      const inPage = at % PAGE_BYTES;
      const take = Math.min(PAGE_BYTES - inPage, end - from);
      if (request.openFrame === NO_FRAME) {
        request.openFrame = frames.take(Math.floor(at / PAGE_BYTES), request);
        request.openFrom = inPage;
      }
      this.#arena.copy(frames.address(request.openFrame) + inPage, from, take);
      from += take;
      at += take;
      if (inPage + take === PAGE_BYTES || at === last) this.#pageComplete(request, inPage + take);
    }
    if (at === last) {
      this.#openPayloads -= 1;
      request.settle();
    }
  }

  #pageComplete(request: ClientRequest, to: number): void {
    const frame = request.openFrame;
    request.openFrame = NO_FRAME;
    request.payloadPages -= 1;
    if (request.openFrom === 0 && to === PAGE_BYTES) this.#core.writePage(frame);
    else this.#core.writePart(frame, request.openFrom, to);
  }

  /** Whole pages are zeroed in the map; the parts at the ends are written as zeros, or left alone by TRIM. */
  #zero(nbd: NbdRequest): boolean {
    const end = nbd.offset + nbd.length;
    const parts = nbd.command === NbdCommand.WRITE_ZEROES ? 2 : 0;
    const request = this.#admit(nbd, 2 * parts, 0);
    if (request === undefined) return false;
    request.nextSlot = Math.ceil(nbd.offset / PAGE_BYTES);
    request.endSlot = Math.floor(end / PAGE_BYTES);
    if (parts > 0) this.#zeroParts(request, nbd.offset, end);
    this.zeroSome(request);
    return true;
  }

  #zeroParts(request: ClientRequest, offset: number, end: number): void {
    const headTo = Math.min(end, Math.ceil(offset / PAGE_BYTES) * PAGE_BYTES);
    if (headTo > offset) this.#zeroPart(request, offset, headTo);
    const tailFrom = Math.floor(end / PAGE_BYTES) * PAGE_BYTES;
    if (tailFrom < end && tailFrom >= headTo) this.#zeroPart(request, tailFrom, end);
  }

  #zeroPart(request: ClientRequest, from: number, to: number): void {
    const { frames } = this.#core;
    const slot = Math.floor(from / PAGE_BYTES);
    const frame = frames.take(slot, request);
    this.#arena.fill(frames.address(frame), 0, PAGE_BYTES);
    request.remaining += 1;
    this.#core.writePart(frame, from - slot * PAGE_BYTES, to - slot * PAGE_BYTES);
  }

  /** Zeroes some of the request's slots; a long range takes several turns, so that others are not held up. */
  zeroSome(request: ClientRequest): void {
    if (this.#inputEnded) this.#giveUpZeroing(request);
    // Who asked is gone: the rest could come after what another connection writes meanwhile.
    if (request.nbd === undefined) return request.settle();
    const from = request.nextSlot;
    const most = Math.min(this.#front.limits.zeroSlotsAtATime, Math.max(0, this.#front.zeroBudget));
    const end = Math.min(request.endSlot, from + most);
    const hole = !request.nbd.noHole;
    for (; request.nextSlot < end; request.nextSlot += 1) {
      request.remaining += 1;
      this.#core.zeroPage(request.nextSlot, hole, request);
    }
    this.#front.zeroBudget -= Math.max(this.#front.limits.zeroSlotsMin, request.nextSlot - from);
    if (request.nextSlot < request.endSlot) this.#front.zeroLater(request);
    else request.settle();
  }

  /** Whoever sends nothing more may be gone altogether. Of a TRIM, the slots that are done are an answer. */
  #giveUpZeroing(request: ClientRequest): void {
    const { nbd } = request;
    request.endSlot = Math.min(request.endSlot, request.nextSlot);
    if (nbd?.command !== NbdCommand.WRITE_ZEROES) return;
    request.nbd = undefined;
    this.#core.counters.requestErrors += 1;
    const why = "the client closed before all of it was zeroed";
    this.#guard(() => this.session.replyError(nbd, NbdErrno.ESHUTDOWN, why));
  }

  #blockStatus(nbd: NbdRequest): void {
    const extents = this.#front.extents;
    extents.reset(nbd.length);
    const end = nbd.offset + nbd.length;
    let at = nbd.offset;
    const slotsMax = this.#front.limits.blockStatusSlotsMax;
    let looked = 0;
    for (; at < end && looked < slotsMax; looked += 1) {
      const slot = Math.floor(at / PAGE_BYTES);
      const to = Math.min(end, (slot + 1) * PAGE_BYTES);
      const zero = this.#core.isZero(slot) ? NbdAllocation.ZERO : 0;
      if (!extents.add(to - at, zero | (this.#core.isHole(slot) ? NbdAllocation.HOLE : 0))) break;
      at = to;
    }
    this.#front.lookBudget -= looked + 1;
    this.session.replyBlockStatus(nbd, extents);
  }

  closed(
    _session: NbdServerSession,
    reason: NbdSessionError | undefined,
    pending: readonly NbdRequest[],
  ): void {
    this.#ended = true;
    for (const nbd of pending) this.#orphan(nbd.user as ClientRequest | undefined);
    this.#front.admission.leave(this);
    this.#front.connectionClosed(this, reason);
    this.#port.finish();
  }

  /** Nobody waits for the request any more; the pages that it has under way are seen through. */
  #orphan(request: ClientRequest | undefined): void {
    if (request === undefined || request.nbd === undefined) return;
    const { nbd } = request;
    request.nbd = undefined;
    if (nbd.command === NbdCommand.WRITE) this.#dropRestOfPayload(request);
    // Zeros that came later than the next client's writes would undo them.
    request.endSlot = Math.min(request.endSlot, request.nextSlot);
  }

  #dropRestOfPayload(request: ClientRequest): void {
    if (request.payloadPages === 0) return;
    if (request.openFrame !== NO_FRAME) this.#core.frames.give(request.openFrame);
    request.openFrame = NO_FRAME;
    this.#openPayloads -= 1;
    for (let left = request.payloadPages; left > 0; left -= 1) request.settle();
    request.settle();
  }

  /** All pages of the request are done: it is answered, and what it held is free. */
  completed(request: ClientRequest): void {
    const { nbd } = request;
    if (nbd?.fua === true && !request.failed && !request.protecting) {
      request.protecting = true;
      return this.#core.whenProtected(() => this.completed(request));
    }
    if (nbd !== undefined) this.#guard(() => this.#answer(request, nbd));
    this.#giveFrames(request);
    this.#front.admission.release(this, request.admittedFrames, request.admittedBytes);
    this.#front.requestsInFlight -= 1;
    this.#spare.push(request);
    this.#front.offerLater(this);
  }

  #answer(request: ClientRequest, nbd: NbdRequest): void {
    request.nbd = undefined;
    const { counters } = this.#core;
    counters.requestsDone += 1;
    if (request.failed) {
      counters.requestErrors += 1;
      this.session.replyError(nbd, NbdErrno.EIO, "a page is lost");
    } else if (nbd.command !== NbdCommand.READ) this.session.replyOk(nbd);
    else this.#answerRead(request, nbd);
  }

  #answerRead(request: ClientRequest, nbd: NbdRequest): void {
    const { frames } = this.#core;
    let offset = nbd.offset;
    const end = nbd.offset + nbd.length;
    if (!this.session.beginReadReply(nbd)) return;
    for (let frame = request.firstFrame; frame !== NO_FRAME; frame = frames.requestNext[frame]!) {
      const inPage = offset % PAGE_BYTES;
      const bytes = Math.min(PAGE_BYTES - inPage, end - offset);
      this.#arena.copy(this.out.reserve(bytes), frames.address(frame) + inPage, bytes);
      offset += bytes;
    }
    this.session.endReadReply();
  }

  #giveFrames(request: ClientRequest): void {
    const { frames } = this.#core;
    for (let frame = request.firstFrame; frame !== NO_FRAME; ) {
      const next = frames.requestNext[frame]!;
      frames.give(frame);
      frame = next;
    }
    request.firstFrame = NO_FRAME;
  }
}
