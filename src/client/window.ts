import { NO_FRAME } from "./frame-table.ts";

/** What an outstanding frame of the page protocol asked for. */
/** OPERATION: of a parity server; its head is no frame but the operation's index. */
export const Asked = { NOTHING: 0, PUT: 1, GET: 2, OPERATION: 3 } as const;

/**
 * Requests sent on one link and not yet answered, by sequence number: each is a list of page frames or an operation,
 * so there are never more of them than `requests`, the number of these.
 *
 *     ring:   … answered | oldest ········ next | free …
 *                         |<---- span ---->|
 *
 * The ring is twice that number. A server answers in order, so the span stays below half of it; one that
 * leaves a request unanswered while it answers thousands of later ones is `outOfOrder`.
 */
export class Window {
  readonly #mask: number;
  readonly #kind: Uint8Array;
  readonly #seq: Uint32Array;
  readonly #head: Int32Array;
  readonly #count: Uint16Array;
  readonly #sentAtMs: Float64Array;
  #nextSeq = 0;
  #oldestSeq = 0;
  #outstanding = 0;

  constructor(requests: number) {
    const size = 2 ** Math.ceil(Math.log2(requests + 1) + 1);
    this.#mask = size - 1;
    this.#kind = new Uint8Array(size);
    this.#seq = new Uint32Array(size);
    this.#head = new Int32Array(size).fill(NO_FRAME);
    this.#count = new Uint16Array(size);
    this.#sentAtMs = new Float64Array(size);
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  /** True if the oldest unanswered request lies so far back that no more should be asked for until it is answered. */
  get crowded(): boolean {
    return (this.#nextSeq - this.#oldestSeq) >>> 0 > (3 * (this.#mask + 1)) / 8;
  }

  /** True if the oldest unanswered request lies further back than a server that answers in order lets it. */
  get outOfOrder(): boolean {
    return (this.#nextSeq - this.#oldestSeq) >>> 0 > (this.#mask + 1) / 2;
  }

  /** When the oldest unanswered request was sent; undefined if there is none. */
  get oldestSentAtMs(): number | undefined {
    return this.#outstanding === 0 ? undefined : this.#sentAtMs[this.#oldestSeq & this.#mask];
  }

  /** Enters a request for `count` pages linked from `head`; returns its sequence number. */
  enter(kind: number, head: number, count: number, nowMs: number): number {
    const seq = this.#nextSeq;
    const at = seq & this.#mask;
    this.#kind[at] = kind;
    this.#seq[at] = seq;
    this.#head[at] = head;
    this.#count[at] = count;
    this.#sentAtMs[at] = nowMs;
    this.#nextSeq = (seq + 1) >>> 0;
    this.#outstanding += 1;
    return seq;
  }

  /** True if `seq` is an outstanding request of this kind. */
  has(kind: number, seq: number): boolean {
    const at = seq & this.#mask;
    return this.#kind[at] === kind && this.#seq[at] === seq;
  }

  head(seq: number): number {
    return this.#head[seq & this.#mask]!;
  }

  count(seq: number): number {
    return this.#count[seq & this.#mask]!;
  }

  sentAtMs(seq: number): number {
    return this.#sentAtMs[seq & this.#mask]!;
  }

  /** The request is answered. */
  leave(seq: number): void {
    const at = seq & this.#mask;
    this.#kind[at] = Asked.NOTHING;
    this.#head[at] = NO_FRAME;
    this.#outstanding -= 1;
    while (this.#oldestSeq !== this.#nextSeq && this.#kind[this.#oldestSeq & this.#mask] === Asked.NOTHING) {
      this.#oldestSeq = (this.#oldestSeq + 1) >>> 0;
    }
  }

  /** Shows the frames of requests of this kind that were sent before `ms` and are not answered; `next` links them. */
  visitBefore(kind: number, ms: number, next: Int32Array, visit: (frame: number) => void): void {
    if (this.#outstanding === 0) return;
    for (let seq = this.#oldestSeq; seq !== this.#nextSeq; seq = (seq + 1) >>> 0) {
      const at = seq & this.#mask;
      if (this.#kind[at] === Asked.NOTHING) continue;
      if (this.#sentAtMs[at]! >= ms) return;
      if (this.#kind[at] !== kind) continue;
      for (let frame = this.#head[at]!; frame !== NO_FRAME; frame = next[frame]!) visit(frame);
    }
  }

  /** Takes out the oldest outstanding request: `visit` gets its kind and its first frame. False if there is none. */
  takeOldest(visit: (kind: number, head: number) => void): boolean {
    if (this.#outstanding === 0) return false;
    const at = this.#oldestSeq & this.#mask;
    const kind = this.#kind[at]!;
    const head = this.#head[at]!;
    this.leave(this.#oldestSeq);
    visit(kind, head);
    return true;
  }
}
