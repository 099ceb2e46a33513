import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { ClientLimits } from "./client-limits.ts";

/** A connection that asks to be admitted. */
export interface Admitted {
  /** Frames set aside for its requests; admission's own figure. */
  heldFrames: number;
  /** Bytes of answers that its client has not taken yet. */
  readonly queuedBytes: number;
  /** Offers the request again that was not admitted. */
  retry(): void;
  /** How long its client has owed us something (the rest of a payload, the taking of answers) and done nothing. */
  readonly idleMs: number;
  closeForContention(): void;
}

/**
 * Decides whether a request is taken now or left in its socket. What is taken is bounded in three ways:
 *
 * - by the frames that there are, and the bytes that answers may queue: whoever finds too few waits in line;
 * - by a fair share: a connection beside others may hold its part of the soft limit, but always one request.
 *
 * The line is kept to for a short time, in which clients that do their part make room for whoever is first. If that
 * was not enough, somebody holds on to what the first one needs: then those behind who need less may pass for a
 * while, and the line is kept to again, and so on. A connection whose client does not do its part, while it holds
 * what those in line wait for, is closed after a long while.
 */
export class Admission {
  readonly #framesMax: number;
  readonly #limits: ClientLimits;
  readonly #answerBytesMax: number;
  readonly #active = new Set<Admitted>();
  readonly #line: Admitted[] = [];
  #lineSinceMs = 0;
  /** Since when the first in line has been that. */
  #firstSinceMs = 0;
  #nowMs = 0;
  #budgetFrames = 0;
  #answerBytes = 0;

  constructor(framesMax: number, answerBytesMax: number, bounds: ClientLimits) {
    this.#framesMax = framesMax;
    this.#limits = bounds;
    this.#answerBytesMax = answerBytesMax;
  }

  /** Sets frames and answer bytes aside for a request; false: it is to be offered again by `retry`. */
  admit(who: Admitted, frames: number, answerBytes: number): boolean {
    // Its own answers bring it back: each one that is finished, or taken by its client, offers the request again.
    const at = this.#line.indexOf(who);
    if (!this.#fitsShare(who, frames)) {
      if (at >= 0) this.#leaveLine(at);
      return false;
    }
    const itsTurn = this.#line.length === 0 || at === 0 || this.#mayPass;
    const there =
      this.#budgetFrames + frames <= this.#framesMax &&
      this.#answerBytes + answerBytes + this.#queuedBytes() <= this.#answerBytesMax;
    if (!itsTurn || !there) {
      this.#waitInLine(who);
      return false;
    }
    if (at >= 0) this.#leaveLine(at);
    this.#budgetFrames += frames;
    this.#answerBytes += answerBytes;
    who.heldFrames += frames;
    this.#active.add(who);
    return true;
  }

  /** What the queues of all active connections take, the unfilled ends of their blocks included. */
  #queuedBytes(): number {
    let sum = 0;
    for (const who of this.#active) sum += who.queuedBytes + 2 * this.#limits.nbdBlockBytes;
    return sum;
  }

  #fitsShare(who: Admitted, frames: number): boolean {
    const load = who.heldFrames + Math.ceil(who.queuedBytes / PAGE_BYTES);
    if (load === 0) return true;
    const others = this.#active.size + (this.#active.has(who) ? 0 : 1);
    return load + frames <= this.#limits.clientFramesSoft / others;
  }

  /**
   * Whether more may be read of who asks: false while its client leaves more answers untaken than its share, those
   * that the protocol itself gives included. They go out sooner or later: then is the time to try again.
   */
  takesInput(who: Admitted): boolean {
    if (who.queuedBytes === 0) return true;
    this.#active.add(who);
    const sharePages = this.#limits.clientFramesSoft / this.#active.size;
    if (who.queuedBytes > sharePages * PAGE_BYTES) return false;
    return this.#answerBytes + this.#queuedBytes() + this.#limits.nbdInputAnswerBytes <= this.#answerBytesMax;
  }

  #waitInLine(who: Admitted): void {
    if (this.#line.length === 0) {
      this.#lineSinceMs = this.#nowMs;
      this.#firstSinceMs = this.#nowMs;
    }
    if (!this.#line.includes(who)) this.#line.push(who);
  }

  #leaveLine(at: number): void {
    this.#line.splice(at, 1);
    if (at === 0) this.#firstSinceMs = this.#nowMs;
  }

  /** Waiting for the first in line has not helped it: whoever fits may pass, until the line is kept to again. */
  get #mayPass(): boolean {
    const cycleMs = limits.nbdLineKeptMs + limits.nbdLinePassedMs;
    return (this.#nowMs - this.#firstSinceMs) % cycleMs >= limits.nbdLineKeptMs;
  }

  /** A request is answered: what was set aside for it is free. */
  release(who: Admitted, frames: number, answerBytes: number): void {
    who.heldFrames -= frames;
    this.#budgetFrames -= frames;
    this.#answerBytes -= answerBytes;
  }

  /**
   * The connection's session is over. What it still holds is released as its pages settle; the answers that its
   * socket still has count until they are out or dropped.
   */
  leave(who: Admitted): void {
    const at = this.#line.indexOf(who);
    if (at >= 0) this.#leaveLine(at);
    if (who.heldFrames === 0 && who.queuedBytes === 0) this.#active.delete(who);
  }

  /** Lets those in line try again, in turn, as far as it goes. */
  advance(): void {
    for (const who of this.#active)
      if (who.heldFrames === 0 && who.queuedBytes === 0) this.#active.delete(who);
    for (let left = this.#line.length, at = 0; left > 0 && at < this.#line.length; left -= 1) {
      const who = this.#line[at]!;
      who.retry();
      if (this.#line[at] !== who) continue;
      if (!this.#mayPass) return;
      at += 1;
    }
  }

  /** Time passes: those who hold what others wait for, and have done nothing for long, are closed. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#line.length === 0 || nowMs - this.#lineSinceMs < limits.nbdIdleUnderContentionMsMax) return;
    for (const who of this.#active) {
      if (who.idleMs > limits.nbdIdleUnderContentionMsMax) who.closeForContention();
    }
  }
}
