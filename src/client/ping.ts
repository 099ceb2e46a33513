import { FrameType, HEADER_BYTES, putBare } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";

/** A link's question for a sign of life, and for the room that there is: the answer tells both. */
export class Ping {
  readonly #out: OutQueue;
  #due = false;
  #asksRoom = false;
  #sentMs: number | undefined;

  constructor(out: OutQueue) {
    this.#out = out;
  }

  /** True while the answer is owed. */
  get isOwed(): boolean {
    return this.#sentMs !== undefined;
  }

  /** It is to be asked at the end of the turn; where there is no room for it, of one that follows. */
  ask(): void {
    this.#due = true;
  }

  /** As `ask`, for the room that there is: an answer that is owed already may have been given before there was any. */
  askRoom(): void {
    this.#due = true;
    this.#asksRoom = true;
  }

  /** True if it waits for the end of the turn to ask for room. */
  get isForRoom(): boolean {
    return this.#asksRoom;
  }

  /** End of the turn: true if it was asked. `isVain`: an answer is owed that says as much. */
  flush(isVain: boolean, nowMs: number): boolean {
    if (!this.#due || !(isVain || this.#out.fits(HEADER_BYTES)) || (isVain && this.#asksRoom)) return false;
    this.#due = false;
    this.#asksRoom = false;
    if (isVain) return false;
    this.#sentMs = nowMs;
    putBare(this.#out, FrameType.PING);
    return true;
  }

  /** The answer has come; returns how long it took. */
  answered(nowMs: number): number {
    const ms = nowMs - this.#sentMs!;
    this.#sentMs = undefined;
    return ms;
  }
}
