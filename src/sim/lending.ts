import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import type { SimNode } from "./sim-node.ts";
import type { Trace } from "./trace.ts";
import { Violation } from "./violation.ts";

interface Bound {
  readonly lent: number;
  /** Most frames that may be in use: what is lent, or what was in use when last looked at, if that was more. */
  readonly most: number;
}

export interface LendingOptions {
  queue: EventQueue;
  prng: Prng;
  trace: Trace;
  nodes: () => SimNode[];
  /** Mean time between two changes. */
  everyMs: number;
  /** No change after that. */
  untilMs: number;
}

/**
 * Machines whose memory runs short and is to be had again: their servers lend less, down to nothing, and more. What is
 * held stays; that nothing is taken beyond it meanwhile is checked here.
 */
export class Lending {
  readonly #options: LendingOptions;
  readonly #bounds = new Map<SimNode, Bound>();
  count = 0;

  constructor(options: LendingOptions) {
    this.#options = options;
    if (options.everyMs < Number.POSITIVE_INFINITY) this.#later();
  }

  #later(): void {
    const { queue, prng, nodes, everyMs, untilMs } = this.#options;
    queue.after(prng.below(2 * everyMs), () => {
      if (queue.nowMs >= untilMs) return;
      const living = nodes();
      const node = living[prng.below(living.length)];
      if (node !== undefined) this.#change(node);
      this.#later();
    });
  }

  #change(node: SimNode): void {
    const { prng, trace } = this.#options;
    const { store } = node.core;
    this.check(node);
    const frames = prng.chance(0.3) ? 0 : prng.chance(0.3) ? store.capacity : prng.below(store.capacity + 1);
    this.count += 1;
    trace.event(`fault: ${node.address} lends ${frames} of ${store.capacity} frames, ${store.used} are used`);
    store.lend(frames);
    this.#bounds.set(node, { lent: frames, most: Math.max(frames, store.used) });
  }

  /** What is in use beyond what is lent becomes less, never more. */
  check(node: SimNode): void {
    const bound = this.#bounds.get(node);
    if (bound === undefined) return;
    const { lent, most } = bound;
    const { used } = node.core.store;
    if (used > most) {
      const what = `${used} frames used, although it lends ${lent} and had ${most} in use at most`;
      throw new Violation(node.process.nowMs, `"${node.address}": ${what}`);
    }
    this.#bounds.set(node, { lent, most: Math.max(lent, used) });
  }
}
