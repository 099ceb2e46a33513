/** What may be saved up, milliseconds: as long as the clock may stand still between two ticks. */
const SAVED_MS = 100;

/** What may be owed, milliseconds. */
const OWED_MS = 1_000;

/** So many pages a second, on average over a tenth of a second; what is begun may exceed it by itself. */
export class Pace {
  readonly #pagesPerMs: number;
  #pages: number;
  #nowMs = 0;

  constructor(pagesPerSecond: number) {
    this.#pagesPerMs = pagesPerSecond / 1000;
    this.#pages = SAVED_MS * this.#pagesPerMs;
  }

  /** The time is `nowMs`. */
  passes(nowMs: number): void {
    const saved = this.#pages + (nowMs - this.#nowMs) * this.#pagesPerMs;
    this.#pages = Math.min(saved, SAVED_MS * this.#pagesPerMs);
    this.#nowMs = nowMs;
  }

  get isSpent(): boolean {
    return this.#pages <= 0;
  }

  spend(pages: number): void {
    this.#pages = Math.max(this.#pages - pages, -OWED_MS * this.#pagesPerMs);
  }
}
