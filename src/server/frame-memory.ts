import { PAGE_BYTES } from "../base/page.ts";

/**
 * The bytes of the frames, in chunks of address space: the first at once, others when needed. The system gives memory
 * to a page of it when that is first written to.
 */
export class FrameMemory {
  readonly #frames: number;
  readonly #chunkFrames: number;
  readonly #chunks: Uint8Array[] = [];

  /**
   * `frames` at most; a chunk is `chunkBytes` (the last one what is left), or half of that, or a quarter and so on down
   * to `leastBytes`, if the system refuses more.
   */
  constructor(frames: number, chunkBytes: number, leastBytes = chunkBytes) {
    this.#frames = frames;
    let chunkFrames = Math.max(1, Math.floor(chunkBytes / PAGE_BYTES));
    const least = Math.min(chunkFrames, Math.max(1, Math.floor(leastBytes / PAGE_BYTES)));
    let first = allocated(Math.min(frames, chunkFrames));
    while (first === undefined && chunkFrames > least) {
      chunkFrames = Math.max(least, Math.floor(chunkFrames / 2));
      first = allocated(Math.min(frames, chunkFrames));
    }
    this.#chunkFrames = chunkFrames;
    if (first !== undefined) this.#chunks.push(first);
  }

  /** Frames that have their place in a chunk. */
  get backed(): number {
    return Math.min(this.#frames, this.#chunks.length * this.#chunkFrames);
  }

  /** Takes one chunk more; false if the limit is reached or the system refuses. */
  grow(): boolean {
    const frames = Math.min(this.#chunkFrames, this.#frames - this.backed);
    if (frames === 0) return false;
    const chunk = allocated(frames);
    if (chunk !== undefined) this.#chunks.push(chunk);
    return chunk !== undefined;
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

/** So many frames, or undefined if the system refuses them. */
function allocated(frames: number): Uint8Array | undefined {
  try {
    return new Uint8Array(frames * PAGE_BYTES);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
