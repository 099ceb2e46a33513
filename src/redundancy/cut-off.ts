import { limits } from "../base/limits.ts";

/** Whether all that was tried lately was in vain, and for how long: what failed once, long ago, says nothing. */
export class CutOff {
  nowMs = 0;
  #firstMs = Number.POSITIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Something failed, or was not tried again since it would. */
  inVain(): void {
    const isNew = this.nowMs - this.#lastMs > limits.roomPatienceMs;
    if (isNew || this.#firstMs === Number.POSITIVE_INFINITY) this.#firstMs = this.nowMs;
    this.#lastMs = this.nowMs;
  }

  succeeded(): void {
    this.#firstMs = Number.POSITIVE_INFINITY;
  }

  /** True if nothing has succeeded for long, and it is still tried. */
  get isLong(): boolean {
    const { roomPatienceMs } = limits;
    return this.nowMs - this.#firstMs >= roomPatienceMs && this.nowMs - this.#lastMs <= roomPatienceMs;
  }
}
