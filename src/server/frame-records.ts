/**
 * What a store knows of each frame beside its bytes: a record of eight words a frame, half a line of the processor's
 * cache, since whoever looks at one word of a frame mostly needs the others. Made for the whole capacity at once: the
 * system backs the array with memory only where it is written.
 *
 *     frame f:   id low, id high, owner, checksum, slot low, slot high, next, previous      words[f * RECORD_WORDS …]
 *
 * A frame is in one of three states:
 *
 *     free      owner NONE, in the free list (`next`) or never used
 *     taken     owner NONE, its taker writes bytes into it
 *     held      owner set, in the hash and in its owner's list (`next`, `previous`)
 */
export class FrameRecords {
  readonly words: Uint32Array;

  constructor(frames: number) {
    this.words = new Uint32Array(frames * RECORD_WORDS);
  }

  get bytes(): number {
    return this.words.byteLength;
  }
}

export const RECORD_WORDS = 8;

/** Places of the words in a record. */
export const ID_LOW = 0;
export const ID_HIGH = 1;
/** Owner's index + 1; NONE if no page is held. */
export const OWNER = 2;
export const CHECKSUM = 3;
export const SLOT_LOW = 4;
export const SLOT_HIGH = 5;
/** Frame + 1 of the neighbour in the owner's list (or the free list); NONE at its end. */
export const NEXT = 6;
export const PREVIOUS = 7;

/** No frame, or no owner, where frames and owners are stored plus one. */
export const NONE = 0;
/** Owners that a store tells apart. */
export const OWNERS_MAX = 2 ** 16 - 1;
