import {
  beginMismatch,
  type FrameSink,
  MISMATCH_BYTES,
  MISMATCHES_PER_FRAME_MAX,
  type Mismatch,
  putMismatch,
} from "../../proto/peer/index.ts";

/** What the scrub has to tell a client, as much as fits one frame; the rest is found again by the next pass. */
export class MismatchBatch {
  readonly #entries: Mismatch[] = [];

  get length(): number {
    return this.#entries.length;
  }

  add(mismatch: Readonly<Mismatch>): void {
    if (this.#entries.length < MISMATCHES_PER_FRAME_MAX) this.#entries.push(mismatch);
  }

  writeTo(sink: FrameSink): void {
    const at = beginMismatch(sink, this.#entries.length);
    for (const [i, entry] of this.#entries.entries()) putMismatch(sink.view, at + i * MISMATCH_BYTES, entry);
    this.#entries.length = 0;
  }
}
