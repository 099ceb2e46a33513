import type { Holder } from "../placement/holder.ts";

/** What fails for so long fails for more than one link that had to be made anew. */
const SURE_MS = 1_500;
/** What is out of reach is tried again after so long … */
const RETRY_MS = 5_000;
/** … and what was not tried meanwhile is under no suspicion any more after so long. */
const FORGOTTEN_MS = 60_000;

/** What needed the pair failed, first and last, and nothing has succeeded since. */
interface Failing {
  readonly sinceMs: number;
  lastMs: number;
  /** When something failed last that needed no other memory server. */
  aloneMs: number;
}

/** Pairs of a parity server and a memory server of which it is not known that one reaches the other. */
export class Suspicions {
  nowMs = 0;
  readonly #failing = new WeakMap<Holder, WeakMap<Holder, Failing>>();

  /** @param alone true if no other memory server was needed */
  failed(server: Holder, holder: Holder, alone = false): void {
    let failing = this.#of(server, holder);
    if (failing === undefined) {
      failing = { sinceMs: this.nowMs, lastMs: this.nowMs, aloneMs: Number.NEGATIVE_INFINITY };
      const all = this.#failing.get(server) ?? new WeakMap<Holder, Failing>();
      all.set(holder, failing);
      this.#failing.set(server, all);
    }
    failing.lastMs = this.nowMs;
    if (alone) failing.aloneMs = this.nowMs;
  }

  succeeded(server: Holder, holder: Holder): void {
    this.#failing.get(server)?.delete(holder);
  }

  #of(server: Holder, holder: Holder): Failing | undefined {
    const failing = this.#failing.get(server)?.get(holder);
    return failing !== undefined && this.nowMs - failing.lastMs < FORGOTTEN_MS ? failing : undefined;
  }

  /** True if what needed both has failed, and not succeeded since. */
  has(server: Holder, holder: Holder): boolean {
    return this.#of(server, holder) !== undefined;
  }

  /** True if that was so for longer than a moment. */
  isSureOf(server: Holder, holder: Holder): boolean {
    const failing = this.#of(server, holder);
    return failing !== undefined && failing.lastMs - failing.sinceMs >= SURE_MS;
  }

  /** True if it is not to be tried again yet. */
  isOut(server: Holder, holder: Holder): boolean {
    return this.isSureOf(server, holder) && this.nowMs - this.#of(server, holder)!.lastMs < RETRY_MS;
  }

  /**
   * As `isOut`, for what needs no other memory server: what failed that needed others as well says little of this one,
   * and would keep it out of reach for as long as it is tried.
   */
  isOutAlone(server: Holder, holder: Holder): boolean {
    return this.isSureOf(server, holder) && this.nowMs - this.#of(server, holder)!.aloneMs < RETRY_MS;
  }
}
