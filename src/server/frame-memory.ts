import { PAGE_BYTES } from "../base/page.ts";

/** Address space taken at one time. */
interface Chunk {
  readonly bytes: Uint8Array;
  /** Frames from the first one to one past the last. */
  readonly first: number;
  readonly end: number;
}

/**
 * The bytes of the frames, in chunks of address space: the first at once, others when needed. The system gives memory
 * to a page of it when that is first written to.
 */
export class FrameMemory {
  readonly #frames: number;
  /** Every chunk but the last is a whole number of units. */
  readonly #unit: number;
  readonly #chunkOfUnit: Chunk[] = [];
  #most: number;
  #backed = 0;

  /**
   * `frames` at most; a chunk is `chunkBytes` (the last one what is left), or half of that, or a quarter and so on down
   * to `leastBytes`, if the system refuses more.
   */
  constructor(frames: number, chunkBytes: number, leastBytes = chunkBytes) {
    this.#frames = frames;
    const most = Math.max(1, Math.floor(chunkBytes / PAGE_BYTES));
    this.#unit = Math.min(most, Math.max(1, Math.floor(leastBytes / PAGE_BYTES)));
    this.#most = Math.min(Math.floor(most / this.#unit), Math.ceil(frames / this.#unit)) * this.#unit;
    this.grow();
  }

  /** Frames that have their place in a chunk. */
  get backed(): number {
    return this.#backed;
  }

  /** Takes one chunk more; false if the limit is reached or the system refuses. */
  grow(): boolean {
    const left = this.#frames - this.#backed;
    if (left === 0) return false;
    for (;;) {
      const bytes = allocated(Math.min(this.#most, left));
      if (bytes !== undefined) {
        this.#add(bytes);
        return true;
      }
      if (this.#most === this.#unit) return false;
      this.#most = Math.max(1, Math.floor(this.#most / this.#unit / 2)) * this.#unit;
    }
  }

  #add(bytes: Uint8Array): void {
    const first = this.#backed;
    const end = first + bytes.length / PAGE_BYTES;
    const chunk = { bytes, first, end };
    for (let frame = first; frame < end; frame += this.#unit) this.#chunkOfUnit.push(chunk);
    this.#backed = end;
  }

  /** Copies bytes [start, end) to `position` of a frame, and on into its neighbours. */
  write(frame: number, position: number, bytes: Uint8Array, start: number, end: number): void {
    const chunk = this.#chunkOf(frame);
    chunk.bytes.set(bytes.subarray(start, end), (frame - chunk.first) * PAGE_BYTES + position);
  }

  /** Frames from this one on, itself included, that lie side by side in memory. */
  neighbours(frame: number): number {
    return this.#chunkOf(frame).end - frame;
  }

  /** Copies `count` neighbouring frames to `at` of `into`. */
  read(frame: number, count: number, into: Uint8Array, at: number): void {
    const chunk = this.#chunkOf(frame);
    const from = (frame - chunk.first) * PAGE_BYTES;
    into.set(chunk.bytes.subarray(from, from + count * PAGE_BYTES), at);
  }

  #chunkOf(frame: number): Chunk {
    return this.#chunkOfUnit[Math.floor(frame / this.#unit)]!;
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
