import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";

export interface CapacityPolicyOptions {
  /** Most frames ever lent. */
  capacityFrames: number;
  /** Memory that the machine keeps for itself. */
  reserveBytes: number;
}

/**
 * How many frames a server may have in use, by the memory that is available:
 *
 *     capacity  >=  frames whose memory was taken already  +  what is available beside the reserve
 *     less than the reserve is available: none; until it is more by a margin, for a while
 */
export class CapacityPolicy {
  readonly #capacityFrames: number;
  readonly #reserveBytes: number;
  #short = false;
  #calmSinceMs: number | undefined;

  constructor(options: CapacityPolicyOptions) {
    this.#capacityFrames = options.capacityFrames;
    this.#reserveBytes = options.reserveBytes;
  }

  /** True while nothing is lent because memory is short. */
  get short(): boolean {
    return this.#short;
  }

  /** The frames to lend from now on. @param touchedFrames frames that the system has given memory, once written to */
  look(availableBytes: number, touchedFrames: number, nowMs: number): number {
    const spareBytes = availableBytes - this.#reserveBytes;
    if (this.#isShort(spareBytes, nowMs)) return 0;
    const unit = limits.lendUnitBytes;
    const moreFrames = (Math.max(0, Math.floor(spareBytes / unit)) * unit) / PAGE_BYTES;
    return Math.min(this.#capacityFrames, touchedFrames + moreFrames);
  }

  #isShort(spareBytes: number, nowMs: number): boolean {
    if (spareBytes < 0) this.#short = true;
    if (!this.#short) return false;
    if (spareBytes < limits.reserveMarginBytes) this.#calmSinceMs = undefined;
    else this.#calmSinceMs ??= nowMs;
    if (this.#calmSinceMs !== undefined && nowMs - this.#calmSinceMs >= limits.memoryCalmMs) {
      this.#short = false;
      this.#calmSinceMs = undefined;
    }
    return this.#short;
  }
}
