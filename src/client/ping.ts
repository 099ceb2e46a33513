import { FrameType, HEADER_BYTES, putBare } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";

/** A link's question for a sign of life. */
export class Ping {
  readonly #out: OutQueue;
  #due = false;
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

  /** End of the turn: true if it was asked. `isVain`: an answer is owed that says as much. */
  flush(isVain: boolean, nowMs: number): boolean {
    if (!this.#due || !(isVain || this.#out.fits(HEADER_BYTES))) return false;
    this.#due = false;
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
