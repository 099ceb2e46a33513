import { invariant } from "../base/assert.ts";
import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { FrameMemory } from "./frame-memory.ts";
import {
  CHECKSUM,
  FrameRecords,
  ID_HIGH,
  ID_LOW,
  NEXT,
  NONE,
  OWNER,
  OWNERS_MAX,
  PREVIOUS,
  RECORD_WORDS,
  SLOT_HIGH,
  SLOT_LOW,
} from "./frame-records.ts";
import { PageHash } from "./page-hash.ts";

export interface FrameStoreOptions {
  /** Most frames ever in use; the tables are made for it. */
  capacityFrames: number;
  /** Owners (clients) told apart: indices 0 to ownersMax - 1. */
  ownersMax: number;
  /** Random, secret 32 bits: keeps clients from choosing page ids that collide. */
  hashSeed: number;
  chunkBytes?: number;
  /** A frame that held a page is about to be free, whatever the reason. */
  released?: ((frame: number) => void) | undefined;
  /** Frames that are not for pages that clients put. */
  reserveFrames?: number;
}

/** What goes with a page; ids and slots are whole numbers below 2^53 in two words. */
export interface PageMeta {
  idLow: number;
  idHigh: number;
  slotLow: number;
  slotHigh: number;
  checksum: number;
}

/**
 * The pages a memory server holds, keyed by (owner, page id).
 *
 *     take -> write … write -> publish          find -> read
 *          \-> giveBack                         drop, dropSome
 *
 * A page is found only once it is published, whole. Counts frames exactly: used = held + taken, free = limit - used.
 */
export class FrameStore {
  /** Most frames ever in use. */
  readonly capacity: number;
  readonly #reserve: number;
  readonly #records: FrameRecords;
  readonly #words: Uint32Array;
  readonly #hash: PageHash;
  readonly #memory: FrameMemory;
  /** First frame + 1 of each owner's list, and how many it has. */
  readonly #first: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #released: ((frame: number) => void) | undefined;
  /** No frame is taken with so many in use. */
  #lent: number;
  /** Calls of `lend` until the system is asked for memory again. */
  #refusedLooks = 0;
  #freeFirst = NONE;
  /** Frames below it were used since the store was empty last; a free one among them is in the free list. */
  #everUsed = 0;
  /** Most that `#everUsed` has been. */
  #touched = 0;
  #held = 0;
  #taken = 0;

  constructor(options: FrameStoreOptions) {
    const { capacityFrames, ownersMax } = options;
    if (!Number.isInteger(capacityFrames) || capacityFrames < 1 || capacityFrames > limits.storeFramesMax) {
      throw new RangeError(
        `capacity of ${capacityFrames} frames, accepted is 1 to ${limits.storeFramesMax} (4 KiB each)`,
      );
    }
    invariant(ownersMax >= 1 && ownersMax <= OWNERS_MAX, "an owner's index fits its column");
    this.capacity = capacityFrames;
    this.#lent = capacityFrames;
    this.#reserve = options.reserveFrames ?? 0;
    this.#records = new FrameRecords(capacityFrames);
    this.#words = this.#records.words;
    this.#hash = new PageHash(this.#records, capacityFrames, options.hashSeed);
    this.#memory = new FrameMemory(
      capacityFrames,
      options.chunkBytes ?? limits.storeChunkBytes,
      limits.storeChunkBytesMin,
    );
    this.#first = new Uint32Array(ownersMax);
    this.#counts = new Uint32Array(ownersMax);
    this.#released = options.released;
  }

  /** Frames that hold a page. */
  get held(): number {
    return this.#held;
  }

  /** Frames in use: with a page, or being written. */
  get used(): number {
    return this.#held + this.#taken;
  }

  get free(): number {
    return this.limit - this.used;
  }

  /** Most frames that may be in use at present; never less than are. */
  get limit(): number {
    return Math.max(this.#mayUse, this.used);
  }

  /** From now on no frame is taken with so many in use; those in use stay. */
  lend(frames: number): void {
    invariant(frames >= 0 && frames <= this.capacity, "no more is lent than the tables are made for");
    this.#lent = frames;
    if (this.#refusedLooks > 0) this.#refusedLooks -= 1;
  }

  /** True while the store makes do with the memory that it has, since the system has refused more. */
  get refused(): boolean {
    return this.#refusedLooks > 0;
  }

  get #mayUse(): number {
    return this.refused ? Math.min(this.#lent, this.#memory.backed) : this.#lent;
  }

  /** Free frames for pages that clients put. */
  get freeToPut(): number {
    return Math.max(0, this.free - this.#reserve);
  }

  /** Frames below this index may hold pages. */
  get scanEnd(): number {
    return this.#everUsed;
  }

  /** Frames that have been used, so that the system has given them memory. */
  get touched(): number {
    return this.#touched;
  }

  /** Bytes of all tables at full load; the pages themselves are not counted. */
  get overheadBytes(): number {
    return this.#records.bytes + this.#hash.bytes + this.#first.byteLength + this.#counts.byteLength;
  }

  /** Pages of an owner. */
  countOf(owner: number): number {
    return this.#counts[owner]!;
  }

  /** The frame that holds the page, or -1. */
  find(owner: number, idLow: number, idHigh: number): number {
    return this.#hash.find(owner + 1, idLow, idHigh);
  }

  /** A frame to be written and then published or given back; -1 if there is no room. */
  take(): number {
    if (this.used >= this.#mayUse) return -1;
    let frame = this.#freeFirst - 1;
    if (frame >= 0) {
      const at = frame * RECORD_WORDS + NEXT;
      this.#freeFirst = this.#words[at]!;
      this.#words[at] = NONE;
    } else {
      if (this.#everUsed === this.#memory.backed && !this.#memory.grow()) {
        this.#refusedLooks = limits.storeRefusedLooks;
        return -1;
      }
      frame = this.#everUsed;
      this.#everUsed += 1;
      if (this.#everUsed > this.#touched) this.#touched = this.#everUsed;
    }
    this.#taken += 1;
    return frame;
  }

  /** As `take`, for a page that a client puts. */
  takeToPut(): number {
    return this.freeToPut > 0 ? this.take() : -1;
  }

  /** Copies bytes [start, end) to `position` of a frame that was taken. */
  write(frame: number, position: number, bytes: Uint8Array, start: number, end: number): void {
    invariant(this.#owner(frame) === NONE, "bytes go into a taken frame only");
    invariant(position + (end - start) <= PAGE_BYTES, "bytes stay within their frame");
    this.#memory.write(frame, position, bytes, start, end);
  }

  /** Copies the `count` whole pages at `start` of `bytes` into neighbouring frames that were taken. */
  writeWhole(frame: number, count: number, bytes: Uint8Array, start: number): void {
    for (let i = 0; i < count; i += 1) {
      invariant(this.#owner(frame + i) === NONE, "bytes go into taken frames only");
    }
    this.#memory.write(frame, 0, bytes, start, start + count * PAGE_BYTES);
  }

  /** A frame that was taken is not needed after all. */
  giveBack(frame: number): void {
    invariant(this.#taken > 0, "a frame given back was taken");
    this.#taken -= 1;
    this.#free(frame);
  }

  /** The bytes of a taken frame are complete: they become the owner's page, in place of one with the same id. */
  publish(frame: number, owner: number, meta: PageMeta): void {
    invariant(this.#taken > 0, "a published frame was taken");
    const old = this.#hash.find(owner + 1, meta.idLow, meta.idHigh);
    this.#describe(frame, meta);
    this.#words[frame * RECORD_WORDS + OWNER] = owner + 1;
    if (old >= 0) this.#hash.replace(old, frame);
    else this.#hash.insert(frame);
    this.#link(frame, owner);
    this.#taken -= 1;
    this.#held += 1;
    if (old >= 0) this.#release(old, owner);
  }

  /** Replaces a held page at once by the whole page at `start` of `bytes`; the id stays. */
  rewrite(frame: number, meta: PageMeta, bytes: Uint8Array, start: number): void {
    invariant(this.#owner(frame) !== NONE, "a rewritten frame holds a page");
    this.#describe(frame, meta);
    this.#memory.write(frame, 0, bytes, start, start + PAGE_BYTES);
  }

  /** Frames from this one on that lie side by side in memory. */
  neighbours(frame: number): number {
    return this.#memory.neighbours(frame);
  }

  /** Copies the held pages of `count` neighbouring frames to `at` of `into`. */
  read(frame: number, count: number, into: Uint8Array, at: number): void {
    for (let i = 0; i < count; i += 1) {
      invariant(this.#owner(frame + i) !== NONE, "a page that is read is held");
    }
    this.#memory.read(frame, count, into, at);
  }

  /** Fills `into` with what goes with the page; false if the frame holds none of `owner`. */
  describe(frame: number, owner: number, into: PageMeta): boolean {
    const words = this.#words;
    const at = frame * RECORD_WORDS;
    if (words[at + OWNER] !== owner + 1) return false;
    into.idLow = words[at + ID_LOW]!;
    into.idHigh = words[at + ID_HIGH]!;
    into.slotLow = words[at + SLOT_LOW]!;
    into.slotHigh = words[at + SLOT_HIGH]!;
    into.checksum = words[at + CHECKSUM]!;
    return true;
  }

  /** The owner whose page the frame holds, or -1. */
  ownerOf(frame: number): number {
    return this.#owner(frame) - 1;
  }

  /** Changes the slot of a held page. */
  reslot(frame: number, slotLow: number, slotHigh: number): void {
    invariant(this.#owner(frame) !== NONE, "a frame with a slot holds a page");
    this.#words[frame * RECORD_WORDS + SLOT_LOW] = slotLow;
    this.#words[frame * RECORD_WORDS + SLOT_HIGH] = slotHigh;
  }

  /** Frees a held page. */
  drop(frame: number): void {
    const owner = this.#owner(frame) - 1;
    invariant(owner >= 0, "a dropped frame holds a page");
    this.#hash.remove(frame);
    this.#release(frame, owner);
  }

  /** Frees up to `most` pages of an owner; returns how many. */
  dropSome(owner: number, most: number): number {
    let dropped = 0;
    while (dropped < most && this.#first[owner] !== NONE) {
      this.drop(this.#first[owner]! - 1);
      dropped += 1;
    }
    return dropped;
  }

  #owner(frame: number): number {
    return this.#words[frame * RECORD_WORDS + OWNER]!;
  }

  #describe(frame: number, meta: PageMeta): void {
    const words = this.#words;
    const at = frame * RECORD_WORDS;
    words[at + ID_LOW] = meta.idLow;
    words[at + ID_HIGH] = meta.idHigh;
    words[at + SLOT_LOW] = meta.slotLow;
    words[at + SLOT_HIGH] = meta.slotHigh;
    words[at + CHECKSUM] = meta.checksum;
  }

  #link(frame: number, owner: number): void {
    const words = this.#words;
    const first = this.#first[owner]!;
    words[frame * RECORD_WORDS + NEXT] = first;
    words[frame * RECORD_WORDS + PREVIOUS] = NONE;
    if (first !== NONE) words[(first - 1) * RECORD_WORDS + PREVIOUS] = frame + 1;
    this.#first[owner] = frame + 1;
    this.#counts[owner]! += 1;
  }

  /** Takes a frame that is out of the hash from its owner and frees it. */
  #release(frame: number, owner: number): void {
    this.#released?.(frame);
    const words = this.#words;
    const after = words[frame * RECORD_WORDS + NEXT]!;
    const before = words[frame * RECORD_WORDS + PREVIOUS]!;
    if (before === NONE) this.#first[owner] = after;
    else words[(before - 1) * RECORD_WORDS + NEXT] = after;
    if (after !== NONE) words[(after - 1) * RECORD_WORDS + PREVIOUS] = before;
    this.#counts[owner]! -= 1;
    this.#held -= 1;
    words[frame * RECORD_WORDS + OWNER] = NONE;
    this.#free(frame);
  }

  /**
   * An empty store begins anew, with its frames in order: in the free list they are in the order in which they were
   * freed, and pages that are written together would lie apart for ever.
   */
  #free(frame: number): void {
    if (this.used === 0) {
      this.#freeFirst = NONE;
      this.#everUsed = 0;
      return;
    }
    this.#words[frame * RECORD_WORDS + NEXT] = this.#freeFirst;
    this.#words[frame * RECORD_WORDS + PREVIOUS] = NONE;
    this.#freeFirst = frame + 1;
  }

  /** Walks everything and asserts that the books balance; for tests and simulation. */
  check(): void {
    const words = this.#words;
    const nextOf = (at: number): number => words[(at - 1) * RECORD_WORDS + NEXT]!;
    let free = 0;
    for (let at = this.#freeFirst; at !== NONE; at = nextOf(at)) free += 1;
    invariant(free + this.used === this.#everUsed, "every frame once used is free, taken or held");
    invariant(this.used <= this.capacity, "frames in use stay within the capacity");
    let held = 0;
    for (let index = 0; index < this.#first.length; index += 1) {
      let count = 0;
      for (let at = this.#first[index]!; at !== NONE; at = nextOf(at)) {
        const record = (at - 1) * RECORD_WORDS;
        invariant(words[record + OWNER] === index + 1, "an owner's list has its frames only");
        invariant(
          this.#hash.find(index + 1, words[record + ID_LOW]!, words[record + ID_HIGH]!) === at - 1,
          "a held page is found",
        );
        count += 1;
      }
      invariant(count === this.#counts[index], "an owner's list is as long as its count");
      held += count;
    }
    invariant(held === this.#held, "the owners' counts add up to the frames held");
    invariant(this.#hash.countUsed() === this.#held, "the hash has the held frames and no more");
  }
}
