import type { Arena } from "../base/arena.ts";
import { invariant } from "../base/assert.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { PageWaiter } from "./page-waiter.ts";

/** End of a list of frames. */
export const NO_FRAME = -1;

/**
 * The client's page frames and what each is for, a column a fact. A frame is taken for a page that is being read
 * or written and given back when that is done. Last given is first taken: memory that was touched once is used again.
 */
export class FrameTable {
  readonly count: number;
  /** Those that requests may be admitted with. */
  readonly admitted: number;
  /** Frames after those: accumulators of parity groups, which admission does not count. */
  readonly accumulators: number;
  /** Slot that the frame's page belongs to. */
  readonly slot: Int32Array;
  readonly pageId: Float64Array;
  readonly checksum: Uint32Array;
  /** Next frame of the batch or queue that this one is in. */
  readonly next: Int32Array;
  /** Next frame of the same request (reads). */
  readonly requestNext: Int32Array;
  /** The write to the same slot that came before this one and is not acknowledged either. */
  readonly older: Int32Array;
  /** 1: a newer write of the slot is held already; this one's page is garbage as soon as it is held. */
  readonly stale: Uint8Array;
  /** 1: the same page as in the write before it, made to another server as well. */
  readonly isCopy: Uint8Array;
  /** Index of the holder that the page was sent to and has not been acknowledged by; NO_FRAME if none. */
  readonly placedOn: Int32Array;
  /** Tries of a read that came to nothing. An even number: its own server is asked next; odd: others. */
  readonly attempts: Uint8Array;
  /** Who waits for the page. */
  readonly waiter: (PageWaiter | undefined)[];
  readonly #base: number;
  readonly #free: Int32Array;
  #freeCount: number;
  readonly #freeAccumulators: number[] = [];

  /** `pages` that admission counts, and `spare` ones beside them, for reads that go on in another frame. */
  constructor(arena: Arena, admitted: number, accumulators = 0, spare = 0) {
    const pages = admitted + spare;
    this.count = pages;
    this.admitted = admitted;
    this.accumulators = accumulators;
    const count = pages + accumulators;
    this.#base = arena.allocate(count * PAGE_BYTES);
    this.slot = new Int32Array(count);
    this.pageId = new Float64Array(count);
    this.checksum = new Uint32Array(count);
    this.next = new Int32Array(count);
    this.requestNext = new Int32Array(count);
    this.older = new Int32Array(count).fill(NO_FRAME);
    this.stale = new Uint8Array(count);
    this.isCopy = new Uint8Array(count);
    this.placedOn = new Int32Array(count).fill(NO_FRAME);
    this.attempts = new Uint8Array(count);
    this.waiter = new Array(count).fill(undefined);
    this.#free = new Int32Array(pages);
    for (let i = 0; i < pages; i += 1) this.#free[i] = pages - 1 - i;
    this.#freeCount = pages;
    for (let i = accumulators - 1; i >= 0; i -= 1) this.#freeAccumulators.push(i);
  }

  get free(): number {
    return this.#freeCount;
  }

  get used(): number {
    return this.count - this.#freeCount;
  }

  /** Where the bytes of frames lie in the arena: pages, and accumulators. Those that are used first come first. */
  get regions(): { start: number; bytes: number }[] {
    return [
      { start: this.#base, bytes: this.count * PAGE_BYTES },
      { start: this.address(this.count), bytes: this.accumulators * PAGE_BYTES },
    ];
  }

  /** Address of the frame's bytes in the arena. */
  address(frame: number): number {
    return this.#base + frame * PAGE_BYTES;
  }

  /** Takes a frame; admission has seen to it that there is one. */
  take(slot: number, waiter: PageWaiter): number {
    invariant(this.#freeCount > 0, "admission leaves a frame for every page it admits");
    this.#freeCount -= 1;
    const frame = this.#free[this.#freeCount]!;
    this.slot[frame] = slot;
    this.waiter[frame] = waiter;
    this.next[frame] = NO_FRAME;
    this.requestNext[frame] = NO_FRAME;
    this.older[frame] = NO_FRAME;
    this.stale[frame] = 0;
    this.isCopy[frame] = 0;
    this.attempts[frame] = 0;
    this.placedOn[frame] = NO_FRAME;
    return frame;
  }

  /** All frames: those for pages, then accumulators. */
  get total(): number {
    return this.count + this.accumulators;
  }

  /** The frame of an accumulator; what is less than `count` is none. */
  frameOf(accumulator: number): number {
    return this.count + accumulator;
  }

  get accumulatorsLeft(): number {
    return this.#freeAccumulators.length;
  }

  /** An accumulator's number, or NO_FRAME. */
  takeAccumulator(): number {
    return this.#freeAccumulators.pop() ?? NO_FRAME;
  }

  giveAccumulator(accumulator: number): void {
    this.#freeAccumulators.push(accumulator);
  }

  give(frame: number): void {
    invariant(this.waiter[frame] !== undefined, "a frame is given back once");
    this.waiter[frame] = undefined;
    this.#free[this.#freeCount] = frame;
    this.#freeCount += 1;
  }
}
