import { invariant } from "../base/assert.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";

const EMPTY = -1;

/**
 * Which slots have writes that no server holds yet: slot -> frame of the newest, and from there through the `older`
 * column to the ones before it. Open addressing with linear probing; deletion shifts back, so there are no tombstones.
 */
export class PendingWrites {
  readonly #frames: FrameTable;
  readonly #mask: number;
  /** Frame of the newest write, or EMPTY; its slot is in the frame table. */
  readonly #newest: Int32Array;

  constructor(frames: FrameTable) {
    this.#frames = frames;
    const size = 2 ** Math.ceil(Math.log2(frames.count * 2));
    this.#mask = size - 1;
    this.#newest = new Int32Array(size).fill(EMPTY);
  }

  /** Frame of the newest pending write of the slot, or NO_FRAME. */
  newest(slot: number): number {
    return this.#newest[this.#find(slot)]!;
  }

  /** `frame` is now the newest write of its slot. */
  push(frame: number): void {
    const at = this.#find(this.#frames.slot[frame]!);
    this.#frames.older[frame] = this.#newest[at]!;
    this.#newest[at] = frame;
  }

  /** The write in `frame` is held: it and everything older stop being pending; the older ones become stale. */
  settle(frame: number): void {
    const { older, slot } = this.#frames;
    this.#makeStale(older[frame]!);
    older[frame] = NO_FRAME;
    const at = this.#find(slot[frame]!);
    if (this.#newest[at] === frame) {
      this.#delete(at);
      return;
    }
    older[this.newerThan(frame)] = NO_FRAME;
  }

  /** The pending write of the slot that came right after this one, which is pending too; NO_FRAME if none did. */
  newerThan(frame: number): number {
    const { older, slot } = this.#frames;
    let newer = this.newest(slot[frame]!);
    if (newer === frame) return NO_FRAME;
    while (older[newer] !== frame) newer = older[newer]!;
    return newer;
  }

  /** The write in `frame`, which is not its slot's newest, stops being pending; returns the one right after it. */
  forget(frame: number): number {
    const { older } = this.#frames;
    const newer = this.newerThan(frame);
    invariant(newer !== NO_FRAME, "a newer write makes up for the one that is forgotten");
    older[newer] = older[frame]!;
    older[frame] = NO_FRAME;
    return newer;
  }

  /** Something newer than every pending write of the slot took effect at once. */
  supersede(slot: number): void {
    const at = this.#find(slot);
    const newest = this.#newest[at]!;
    if (newest === EMPTY) return;
    this.#makeStale(newest);
    this.#delete(at);
  }

  #makeStale(first: number): void {
    let frame = first;
    while (frame !== NO_FRAME) {
      const next = this.#frames.older[frame]!;
      this.#frames.stale[frame] = 1;
      this.#frames.older[frame] = NO_FRAME;
      frame = next;
    }
  }

  /** Slots of one block of 16 have neighbouring cells, since they often are written together. */
  #home(slot: number): number {
    return (((Math.imul(slot >>> 4, 0x9e3779b1) >>> 8) << 4) | (slot & 15)) & this.#mask;
  }

  /** Where the slot's entry is, or would go. */
  #find(slot: number): number {
    let at = this.#home(slot);
    for (;;) {
      const frame = this.#newest[at]!;
      if (frame === EMPTY || this.#frames.slot[frame] === slot) return at;
      at = (at + 1) & this.#mask;
    }
  }

  #delete(hole: number): void {
    let empty = hole;
    let at = hole;
    for (;;) {
      at = (at + 1) & this.#mask;
      const frame = this.#newest[at]!;
      if (frame === EMPTY) break;
      const home = this.#home(this.#frames.slot[frame]!);
      // Move the entry back unless its home lies between the hole and where it is.
      if (((at - home) & this.#mask) >= ((at - empty) & this.#mask)) {
        this.#newest[empty] = frame;
        empty = at;
      }
    }
    this.#newest[empty] = EMPTY;
  }
}
