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
}

/** Pairs of a parity server and a memory server of which it is not known that one reaches the other. */
export class Suspicions {
  nowMs = 0;
  readonly #failing = new WeakMap<Holder, WeakMap<Holder, Failing>>();

  failed(server: Holder, holder: Holder): void {
    const failing = this.#of(server, holder);
    if (failing !== undefined) {
      failing.lastMs = this.nowMs;
      return;
    }
    const all = this.#failing.get(server) ?? new WeakMap<Holder, Failing>();
    all.set(holder, { sinceMs: this.nowMs, lastMs: this.nowMs });
    this.#failing.set(server, all);
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
}
