import { invariant } from "../base/assert.ts";
import { type FrameRecords, ID_HIGH, ID_LOW, NONE, OWNER, RECORD_WORDS } from "./frame-records.ts";

/** Cells per frame are between 2 and 4. */
const LOAD_MAX = 0.5;
/** log2 of the cells in a block, which is as long as two lines of the processor's cache. */
const BLOCK_BITS = 4;
const BLOCK_MASK = 2 ** BLOCK_BITS - 1;
const CELLS_MIN = 32;

/**
 * Open addressing from (owner, page id) to frame: linear probing, deletion by shifting back, so no tombstones and
 * no rehash, ever. A cell is a frame + 1 and the cell that its key hashes to; so others than the one that is meant are
 * passed over, and shifted, without a look at their frames. The key is in the frame's record. Sized for the capacity
 * at once (zero pages of the system until touched).
 *
 * Pages that are written together have ids that follow each other; so have their cells: 16 ids share a block, and a
 * batch finds its frames in a few lines of the cache instead of one for each page.
 *
 * The multipliers come from a secret seed: page ids are chosen by clients, who must not be able to pile them up.
 */
export class PageHash {
  readonly #records: Uint32Array;
  /** Frame + 1 and home of each cell, side by side. */
  readonly #cells: Uint32Array;
  readonly #mask: number;
  readonly #shift: number;
  readonly #lowFactor: number;
  readonly #highFactor: number;
  readonly #ownerFactor: number;

  constructor(records: FrameRecords, frames: number, seed: number) {
    this.#records = records.words;
    const bits = Math.ceil(Math.log2(Math.max(CELLS_MIN, frames / LOAD_MAX)));
    this.#cells = new Uint32Array(2 * 2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - (bits - BLOCK_BITS);
    this.#lowFactor = mix(seed ^ 0x9e3779b9) | 1;
    this.#highFactor = mix(seed ^ 0x85ebca6b) | 1;
    this.#ownerFactor = mix(seed ^ 0xc2b2ae35) | 1;
  }

  get bytes(): number {
    return this.#cells.byteLength;
  }

  /** The frame that holds the page, or -1. `owner` as in the records (index + 1). */
  find(owner: number, idLow: number, idHigh: number): number {
    const cells = this.#cells;
    const records = this.#records;
    const home = this.#home(owner, idLow, idHigh);
    for (let cell = home; ; cell = (cell + 1) & this.#mask) {
      const frame = cells[2 * cell]! - 1;
      if (frame < 0) return -1;
      if (cells[2 * cell + 1] !== home) continue;
      const at = frame * RECORD_WORDS;
      if (records[at + ID_LOW] === idLow && records[at + ID_HIGH] === idHigh && records[at + OWNER] === owner)
        return frame;
    }
  }

  /** Adds a frame, whose record is filled and whose key is not yet there. */
  insert(frame: number): void {
    const cells = this.#cells;
    const home = this.#homeOf(frame);
    let cell = home;
    while (cells[2 * cell] !== NONE) cell = (cell + 1) & this.#mask;
    cells[2 * cell] = frame + 1;
    cells[2 * cell + 1] = home;
  }

  /** Puts `fresh` in the place of `old`; both have the same key. */
  replace(old: number, fresh: number): void {
    this.#cells[2 * this.#cellOf(old)] = fresh + 1;
  }

  /** Takes a frame out, whose record still is filled. */
  remove(frame: number): void {
    const cells = this.#cells;
    const mask = this.#mask;
    let hole = this.#cellOf(frame);
    for (let at = (hole + 1) & mask; cells[2 * at] !== NONE; at = (at + 1) & mask) {
      // An entry may fill the hole unless its home lies behind the hole: then a search would miss it.
      const fromHome = (at - cells[2 * at + 1]!) & mask;
      if (fromHome < ((at - hole) & mask)) continue;
      cells[2 * hole] = cells[2 * at]!;
      cells[2 * hole + 1] = cells[2 * at + 1]!;
      hole = at;
    }
    cells[2 * hole] = NONE;
  }

  /** Cells in use; for checks. */
  countUsed(): number {
    let used = 0;
    for (let cell = 0; cell <= this.#mask; cell += 1) if (this.#cells[2 * cell] !== NONE) used += 1;
    return used;
  }

  #cellOf(frame: number): number {
    let cell = this.#homeOf(frame);
    while (this.#cells[2 * cell] !== frame + 1) {
      invariant(this.#cells[2 * cell] !== NONE, "a held frame is in the hash");
      cell = (cell + 1) & this.#mask;
    }
    return cell;
  }

  #homeOf(frame: number): number {
    const records = this.#records;
    const at = frame * RECORD_WORDS;
    return this.#home(records[at + OWNER]!, records[at + ID_LOW]!, records[at + ID_HIGH]!);
  }

  #home(owner: number, idLow: number, idHigh: number): number {
    const key =
      Math.imul(idLow >>> BLOCK_BITS, this.#lowFactor) +
      Math.imul(idHigh, this.#highFactor) +
      Math.imul(owner, this.#ownerFactor);
    return ((mix(key) >>> this.#shift) << BLOCK_BITS) | (idLow & BLOCK_MASK);
  }
}

/** A bijection of 32-bit numbers that spreads every bit (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
