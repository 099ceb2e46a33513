import { NbdUsageError } from "./errors.ts";

/** A stretch of the export with one allocation status. */
export interface NbdExtent {
  /** Bytes, from the end of the extent before; a multiple of the export's minimum block size. */
  length: number;
  /** Bits of NbdAllocation. */
  flags: number;
}

/**
 * A reusable list of extents for replyBlockStatus that allocates nothing once warm. Neighbours with the same
 * flags become one; what lies beyond the range or the capacity is left out.
 */
export class NbdExtents {
  readonly #lengths: Uint32Array;
  readonly #flags: Uint32Array;
  #count = 0;
  #left = 0;

  /** @param capacity the most extents it holds, at least 1. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new NbdUsageError(`a capacity of ${capacity} extents; at least 1 is needed`);
    }
    this.#lengths = new Uint32Array(capacity);
    this.#flags = new Uint32Array(capacity);
  }

  /** Extents held. */
  get count(): number {
    return this.#count;
  }

  /** Starts anew on a range of `rangeBytes` (at most 2^32 - 1). */
  reset(rangeBytes: number): void {
    this.#count = 0;
    this.#left = rangeBytes;
  }

  /**
   * Adds the next stretch; returns false once nothing more fits, so that a handler can stop looking.
   * @throws NbdUsageError for a length that is not a non-negative integer.
   */
  add(length: number, flags: number): boolean {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new NbdUsageError(`an extent of ${length} bytes`);
    }
    const taken = Math.min(length, this.#left);
    if (taken === 0) return this.#left > 0;
    const last = this.#count - 1;
    if (last >= 0 && this.#flags[last] === flags >>> 0) {
      this.#lengths[last] += taken;
    } else if (this.#count === this.#lengths.length) {
      this.#left = 0;
      return false;
    } else {
      this.#lengths[this.#count] = taken;
      this.#flags[this.#count] = flags;
      this.#count++;
    }
    this.#left -= taken;
    return this.#left > 0;
  }

  /** Starts anew on a range of `rangeBytes` and adds all of `given`, until nothing more fits. */
  assign(rangeBytes: number, given: NbdExtents | readonly NbdExtent[]): void {
    this.reset(rangeBytes);
    if (given instanceof NbdExtents) {
      for (let index = 0; index < given.count; index++) {
        if (!this.add(given.lengthAt(index), given.flagsAt(index))) break;
      }
    } else {
      for (const extent of given) if (!this.add(extent.length, extent.flags)) break;
    }
  }

  lengthAt(index: number): number {
    return this.#lengths[index];
  }

  flagsAt(index: number): number {
    return this.#flags[index];
  }
}
