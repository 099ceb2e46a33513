import {
  beginResult,
  type Capacity,
  type FrameSink,
  putResult,
  RESULT_ENTRY_BYTES,
  RESULTS_PER_FRAME_MAX,
  type Result,
} from "../../proto/peer/index.ts";

/** Results of a turn, sent together. There are no more than entries that one connection may have under way. */
export class ResultBatch {
  readonly #entries: Result[] = [];
  #count = 0;

  add(seq: number, index: number, status: number, checksum: number): void {
    const entry = this.#entries[this.#count];
    if (entry === undefined) this.#entries.push({ seq, index, status, checksum });
    else {
      entry.seq = seq;
      entry.index = index;
      entry.status = status;
      entry.checksum = checksum;
    }
    this.#count += 1;
  }

  /** Writes as many RESULTs as it takes. */
  writeTo(sink: FrameSink, capacity: Capacity): void {
    for (let from = 0; from < this.#count; from += RESULTS_PER_FRAME_MAX) {
      const count = Math.min(this.#count - from, RESULTS_PER_FRAME_MAX);
      const at = beginResult(sink, count, capacity);
      for (let i = 0; i < count; i += 1) {
        putResult(sink.view, at + i * RESULT_ENTRY_BYTES, this.#entries[from + i]!);
      }
    }
    this.#count = 0;
  }
}
