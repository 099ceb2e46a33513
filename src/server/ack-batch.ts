import {
  ACK_ENTRIES_MAX,
  ACK_ENTRY_BYTES,
  beginAck,
  type Capacity,
  type FrameSink,
  putAckEntry,
} from "../../proto/peer/index.ts";

/** Acknowledgements of a turn, sent together in one ACK. */
export class AckBatch {
  readonly #seqs = new Uint32Array(ACK_ENTRIES_MAX);
  readonly #accepted = new Uint16Array(ACK_ENTRIES_MAX);
  readonly #statuses = new Uint8Array(ACK_ENTRIES_MAX);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** True if no entry more fits: it must be written first. */
  get full(): boolean {
    return this.#count === ACK_ENTRIES_MAX;
  }

  add(seq: number, accepted: number, status: number): void {
    this.#seqs[this.#count] = seq;
    this.#accepted[this.#count] = accepted;
    this.#statuses[this.#count] = status;
    this.#count += 1;
  }

  /** Writes the ACK, if there is anything to acknowledge. */
  writeTo(sink: FrameSink, capacity: Capacity): void {
    if (this.#count === 0) return;
    const at = beginAck(sink, this.#count, capacity);
    for (let i = 0; i < this.#count; i += 1) {
      putAckEntry(
        sink.view,
        at + i * ACK_ENTRY_BYTES,
        this.#seqs[i]!,
        this.#accepted[i]!,
        this.#statuses[i]!,
      );
    }
    this.#count = 0;
  }

  clear(): void {
    this.#count = 0;
  }
}
