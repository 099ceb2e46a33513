import { invariant } from "../base/assert.ts";

/** What a slot means; any other value is FIRST_HOLDER + the index of the memory server that holds its page. */
export const Place = {
  /** Never written, or trimmed: reads as zeros. */
  UNMAPPED: 0,
  /** One 64-bit word repeated; the word is kept here, no page exists. */
  SAME_FILLED: 1,
  /** Its page is provably gone: reads fail until it is written again. */
  LOST: 2,
  /** As LOST, and nobody has asked for it yet. */
  LOST_UNREAD: 3,
  FIRST_HOLDER: 16,
} as const;

/** Memory servers that a map can tell apart. */
export const HOLDERS_MAX = 0xffff - Place.FIRST_HOLDER;

const WORD = 2 ** 32;

/** Bytes that a slot takes. */
export const SLOT_BYTES = 14;

/**
 * The shadow slot map: what each slot of the device means. 14 bytes a slot in typed arrays.
 *
 *     place     u16   unmapped | same-filled | lost | holder
 *     low, high u32   page id (53 bits), or the repeated word of a same-filled slot
 *     checksum  u32   of the page, as taken when it was sent
 */
export class SlotMap {
  readonly slots: number;
  readonly #place: Uint16Array;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #checksum: Uint32Array;
  #sameFilled = 0;
  #onServers = 0;
  #lost = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.#place = new Uint16Array(slots);
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
    this.#checksum = new Uint32Array(slots);
  }

  /** Bytes that the map takes, everything included. */
  get sizeBytes(): number {
    return this.#place.byteLength + this.#low.byteLength + this.#high.byteLength + this.#checksum.byteLength;
  }

  /** The memory of the map. */
  get memory(): Uint8Array[] {
    return [this.#place, this.#low, this.#high, this.#checksum].map(
      (column) => new Uint8Array(column.buffer),
    );
  }

  get sameFilled(): number {
    return this.#sameFilled;
  }

  /** Slots whose page is on a memory server, lost ones that nobody has read yet included. */
  get onServers(): number {
    return this.#onServers;
  }

  get lost(): number {
    return this.#lost;
  }

  place(slot: number): number {
    return this.#place[slot]!;
  }

  /** Index of the holder of a slot that has one. */
  holder(slot: number): number {
    return this.#place[slot]! - Place.FIRST_HOLDER;
  }

  /** Page id of a slot that has a holder. */
  pageId(slot: number): number {
    return this.#high[slot]! * WORD + this.#low[slot]!;
  }

  checksum(slot: number): number {
    return this.#checksum[slot]!;
  }

  /** Halves of the repeated word of a same-filled slot. */
  wordLow(slot: number): number {
    return this.#low[slot]!;
  }

  wordHigh(slot: number): number {
    return this.#high[slot]!;
  }

  setPage(slot: number, holder: number, pageId: number, checksum: number): void {
    this.#replace(slot, Place.FIRST_HOLDER + holder);
    this.#low[slot] = pageId >>> 0;
    this.#high[slot] = Math.floor(pageId / WORD);
    this.#checksum[slot] = checksum;
  }

  setSameFilled(slot: number, low: number, high: number): void {
    this.#replace(slot, Place.SAME_FILLED);
    this.#low[slot] = low;
    this.#high[slot] = high;
  }

  setUnmapped(slot: number): void {
    this.#replace(slot, Place.UNMAPPED);
  }

  setLost(slot: number): void {
    this.#replace(slot, Place.LOST);
  }

  setLostUnread(slot: number): void {
    this.#replace(slot, Place.LOST_UNREAD);
  }

  #replace(slot: number, place: number): void {
    invariant(slot >= 0 && slot < this.slots, "a slot lies on the device");
    this.#count(this.#place[slot]!, -1);
    this.#count(place, 1);
    this.#place[slot] = place;
  }

  #count(place: number, by: number): void {
    if (place >= Place.FIRST_HOLDER) this.#onServers += by;
    else if (place === Place.SAME_FILLED) this.#sameFilled += by;
    else if (place === Place.LOST || place === Place.LOST_UNREAD) this.#lost += by;
  }
}
