import { type FrameTable, NO_FRAME } from "./frame-table.ts";

/** First in, first out, linked through the table's `next` column: a frame is in one queue at a time. */
export class FrameQueue {
  readonly #frames: FrameTable;
  #head = NO_FRAME;
  #tail = NO_FRAME;
  #length = 0;

  constructor(frames: FrameTable) {
    this.#frames = frames;
  }

  get length(): number {
    return this.#length;
  }

  get head(): number {
    return this.#head;
  }

  push(frame: number): void {
    this.#frames.next[frame] = NO_FRAME;
    if (this.#tail === NO_FRAME) this.#head = frame;
    else this.#frames.next[this.#tail] = frame;
    this.#tail = frame;
    this.#length += 1;
  }

  /** Takes the first frame, or NO_FRAME. */
  shift(): number {
    const frame = this.#head;
    if (frame === NO_FRAME) return NO_FRAME;
    this.#head = this.#frames.next[frame]!;
    if (this.#head === NO_FRAME) this.#tail = NO_FRAME;
    this.#length -= 1;
    return frame;
  }
}
