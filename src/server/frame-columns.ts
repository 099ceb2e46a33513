/**
 * What a store knows of each frame beside its bytes, one typed array a property, indexed by frame.
 * Made for the whole capacity at once: the system backs the arrays with memory only where they are written.
 *
 * A frame is in one of three states:
 *
 *     free      owner NONE, in the free list (`next`) or never used
 *     taken     owner NONE, its taker writes bytes into it
 *     held      owner set, in the hash and in its owner's list (`next`, `previous`)
 */
export class FrameColumns {
  readonly idLow: Uint32Array;
  readonly idHigh: Uint32Array;
  readonly slotLow: Uint32Array;
  readonly slotHigh: Uint32Array;
  readonly checksum: Uint32Array;
  /** Owner's index + 1; NONE if no page is held. */
  readonly owner: Uint16Array;
  /** Frame + 1 of the neighbour in the owner's list (or the free list); NONE at its end. */
  readonly next: Uint32Array;
  readonly previous: Uint32Array;

  constructor(frames: number) {
    this.idLow = new Uint32Array(frames);
    this.idHigh = new Uint32Array(frames);
    this.slotLow = new Uint32Array(frames);
    this.slotHigh = new Uint32Array(frames);
    this.checksum = new Uint32Array(frames);
    this.owner = new Uint16Array(frames);
    this.next = new Uint32Array(frames);
    this.previous = new Uint32Array(frames);
  }

  get bytes(): number {
    return 7 * this.next.byteLength + this.owner.byteLength;
  }
}

/** No frame, or no owner, where frames and owners are stored plus one. */
export const NONE = 0;
/** Owners that the columns can tell apart. */
export const OWNERS_MAX = 2 ** 16 - 1;
