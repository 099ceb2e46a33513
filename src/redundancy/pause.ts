/** One failure costs all others so little of the pause, however many there are: a thousand failures a second. */
const SHARE_MIN = 1 / 256;

/**
 * Time in which nothing is begun, after operations that failed. Where few groups of many cannot be helped, the others
 * do not wait for them: each failure costs its share, so that a round over all takes as long as one pause.
 */
export class Pause {
  readonly #lengthMs: number;
  #untilMs = 0;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  isOn(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  /** An operation failed while so many groups, its own among them, are in need of one. */
  failed(nowMs: number, groups: number): void {
    const share = Math.max(SHARE_MIN, 1 / Math.max(1, groups));
    this.#untilMs = Math.max(this.#untilMs, nowMs) + share * this.#lengthMs;
  }
}
