import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { FrameTable } from "./frame-table.ts";

/** A connection that asks to be admitted. */
export interface Admitted {
  /** Frames set aside for its requests; admission's own figure. */
  heldFrames: number;
  /** Bytes of answers that its client has not taken yet. */
  readonly queuedBytes: number;
  /** Offers the request again that was not admitted. */
  retry(): void;
  /**
   * Since when its client has owed us something (the rest of a payload, the taking of answers); Infinity if it owes
   * nothing.
   */
  readonly idleSinceMs: number;
  closeForContention(): void;
}

/**
 * Decides whether a request is taken now or left in its socket. What is taken is bounded in three ways:
 *
 * - by the frames that there are, and the bytes that answers may queue: whoever finds too few waits in line;
 * - by a fair share: a connection beside others may hold its part of the soft limit, but always one request.
 *
 * A connection whose client does not do its part, while it holds what those in line wait for, is closed after a while.
 */
export class Admission {
  readonly #frames: FrameTable;
  readonly #answerBytesMax: number;
  readonly #active = new Set<Admitted>();
  readonly #line: Admitted[] = [];
  #lineSinceMs = 0;
  #nowMs = 0;
  #budgetFrames = 0;
  #answerBytes = 0;

  constructor(frames: FrameTable, answerBytesMax: number) {
    this.#frames = frames;
    this.#answerBytesMax = answerBytesMax;
  }

  /** Sets frames and answer bytes aside for a request; false: it is to be offered again by `retry`. */
  admit(who: Admitted, frames: number, answerBytes: number): boolean {
    // Its own answers bring it back: each one that is finished, or taken by its client, offers the request again.
    if (!this.#fitsShare(who, frames)) return false;
    const first = this.#line.length === 0 || this.#line[0] === who;
    const there =
      this.#budgetFrames + frames <= this.#frames.count &&
      this.#answerBytes + answerBytes + this.#queuedBytes() <= this.#answerBytesMax;
    if (!first || !there) {
      this.#waitInLine(who);
      return false;
    }
    if (this.#line[0] === who) this.#line.shift();
    this.#budgetFrames += frames;
    this.#answerBytes += answerBytes;
    who.heldFrames += frames;
    this.#active.add(who);
    return true;
  }

  /** What the queues of all active connections take, the unfilled ends of their blocks included. */
  #queuedBytes(): number {
    let sum = 0;
    for (const who of this.#active) sum += who.queuedBytes + 2 * limits.nbdBlockBytes;
    return sum;
  }

  #fitsShare(who: Admitted, frames: number): boolean {
    const load = who.heldFrames + Math.ceil(who.queuedBytes / PAGE_BYTES);
    if (load === 0) return true;
    const others = this.#active.size + (this.#active.has(who) ? 0 : 1);
    return load + frames <= limits.clientFramesSoft / others;
  }

  #waitInLine(who: Admitted): void {
    if (this.#line.length === 0) this.#lineSinceMs = this.#nowMs;
    if (!this.#line.includes(who)) this.#line.push(who);
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
    if (at >= 0) this.#line.splice(at, 1);
    if (who.heldFrames === 0 && who.queuedBytes === 0) this.#active.delete(who);
  }

  /** Lets those in line try again, in turn, as far as it goes. */
  advance(): void {
    for (const who of this.#active)
      if (who.heldFrames === 0 && who.queuedBytes === 0) this.#active.delete(who);
    for (let left = this.#line.length; left > 0; left -= 1) {
      const who = this.#line[0]!;
      who.retry();
      if (this.#line[0] === who) return;
    }
  }

  /** Time passes: those who hold what others wait for, and have done nothing for long, are closed. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#line.length === 0 || nowMs - this.#lineSinceMs < limits.nbdIdleUnderContentionMsMax) return;
    for (const who of this.#active) {
      if (nowMs - who.idleSinceMs > limits.nbdIdleUnderContentionMsMax) who.closeForContention();
    }
  }
}
