import { PAGE_BYTES } from "../base/page.ts";

/** The bytes of the frames, in chunks that are taken from the system when first needed. */
export class FrameMemory {
  readonly #frames: number;
  readonly #chunkFrames: number;
  readonly #chunks: Uint8Array[] = [];

  /** `frames` at most; a chunk is `chunkBytes` (the last one what is left). */
  constructor(frames: number, chunkBytes: number) {
    this.#frames = frames;
    this.#chunkFrames = Math.max(1, Math.floor(chunkBytes / PAGE_BYTES));
  }

  /** Frames that have memory. */
  get backed(): number {
    return Math.min(this.#frames, this.#chunks.length * this.#chunkFrames);
  }

  /** Takes one chunk more; false if the limit is reached or the system refuses. */
  grow(): boolean {
    const frames = Math.min(this.#chunkFrames, this.#frames - this.backed);
    if (frames === 0) return false;
    try {
      this.#chunks.push(new Uint8Array(frames * PAGE_BYTES));
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
    return true;
  }

  /** Copies bytes [start, end) to `position` of a frame, and on into its neighbours. */
  write(frame: number, position: number, bytes: Uint8Array, start: number, end: number): void {
    const chunk = this.#chunks[Math.floor(frame / this.#chunkFrames)]!;
    chunk.set(bytes.subarray(start, end), (frame % this.#chunkFrames) * PAGE_BYTES + position);
  }

  /** Frames from this one on, itself included, that lie side by side in memory. */
  neighbours(frame: number): number {
    return this.#chunkFrames - (frame % this.#chunkFrames);
  }

  /** Copies `count` neighbouring frames to `at` of `into`. */
  read(frame: number, count: number, into: Uint8Array, at: number): void {
    const chunk = this.#chunks[Math.floor(frame / this.#chunkFrames)]!;
    const from = (frame % this.#chunkFrames) * PAGE_BYTES;
    into.set(chunk.subarray(from, from + count * PAGE_BYTES), at);
  }
}
