/** Something that happens at a point of simulated time. */
interface SimEvent {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const comesBefore = (a: SimEvent, b: SimEvent): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** Simulated time: a binary heap of events. Idle time is skipped; events of the same instant run in the order made. */
export class EventQueue {
  nowMs = 0;
  /** Events run so far. */
  ran = 0;
  readonly #heap: SimEvent[] = [];
  #order = 0;

  /** Runs `run` at `atMs`, or now if that is past. */
  at(atMs: number, run: () => void): void {
    this.#order += 1;
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.#order, run };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!comesBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** Runs `run` so many milliseconds from now. */
  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  /** Runs the next event, if it comes no later than `untilMs`; else moves the time there and returns false. */
  step(untilMs: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > untilMs) {
      this.nowMs = Math.max(this.nowMs, untilMs);
      return false;
    }
    this.#removeFirst();
    this.nowMs = first.atMs;
    this.ran += 1;
    first.run();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && comesBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!comesBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
