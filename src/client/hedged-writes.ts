import type { Arena } from "../base/arena.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { IpTable } from "../placement/ip-table.ts";
import type { ClientCounters } from "./counters.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";
import type { LinkSet } from "./link-set.ts";
import { PageResult, type PageWaiter } from "./page-waiter.ts";
import type { Patience } from "./patience.ts";
import type { PendingWrites } from "./pending-writes.ts";

export interface HedgedWritesOptions {
  arena: Arena;
  frames: FrameTable;
  table: IpTable;
  links: LinkSet;
  pending: PendingWrites;
  patience: Patience;
  counters: ClientCounters;
  /** Pages that may be under way twice at a time: a frame each. */
  hedgesMax: number;
  /** The frame's page becomes the newest write of its slot. */
  writeOut: (frame: number) => void;
}

/**
 * Writes that a silent server has not acknowledged are made once more, to another one, as newer writes of their slots.
 *
 *     frame   -> silent server    nobody's      whichever is held first is what the slot means, and is told;
 *     copy    -> another one      its waiter's  the other is garbage, like any overtaken write
 *
 * Only of servers that say nothing at all, and no copy is copied: a slow network must not be flooded. A write that has
 * been overtaken needs no copy: it is told.
 */
export class HedgedWrites {
  readonly #options: HedgedWritesOptions;
  #left = 0;
  /** Copies that others have room for. */
  #room = 0;
  /** Owns the one of the two whose end nobody waits for. */
  readonly #nobody: PageWaiter = {
    pageDone: () => {
      this.#left -= 1;
    },
  };
  readonly #hedge = (frame: number): void => {
    const { frames, hedgesMax } = this.#options;
    if (this.#isNobodys(frame) || this.#left >= hedgesMax) return;
    if (frames.stale[frame] === 1) this.#leave(frame).pageDone(frame, PageResult.OK);
    else this.#copy(frame);
  };

  constructor(options: HedgedWritesOptions) {
    this.#options = options;
  }

  /** Looks for writes that have waited for too long. */
  check(): void {
    const { table, links, patience } = this.#options;
    this.#room = this.#roomElsewhere();
    for (const holder of table.servers) {
      const link = links.of(holder);
      if (link !== undefined && patience.isSilent(holder, link))
        link.visitWritesBefore(patience.silentBeforeMs(holder), this.#hedge);
    }
  }

  #roomElsewhere(): number {
    const { table, links, patience } = this.#options;
    let room = 0;
    for (const holder of table.servers) {
      const link = links.of(holder);
      if (link?.up !== true || holder.full || patience.isSilent(holder, link)) continue;
      room += Math.max(0, holder.freeEstimate);
    }
    return room;
  }

  #copy(frame: number): void {
    const { arena, frames, pending, counters, writeOut } = this.#options;
    if (frames.isCopy[frame] === 1 || this.#room === 0 || frames.free === 0) return;
    const slot = frames.slot[frame]!;
    // An older write of two is told when the newer one is held; accumulators are none.
    if (pending.newest(slot) !== frame) return;
    const copy = frames.take(slot, this.#leave(frame));
    frames.isCopy[copy] = 1;
    this.#room -= 1;
    counters.writesHedged += 1;
    arena.copy(frames.address(copy), frames.address(frame), PAGE_BYTES);
    writeOut(copy);
  }

  /** Nobody waits for the frame's end any more; returns who did. */
  #leave(frame: number): PageWaiter {
    const { waiter } = this.#options.frames;
    const waited = waiter[frame]!;
    waiter[frame] = this.#nobody;
    this.#left += 1;
    return waited;
  }

  #isNobodys(frame: number): boolean {
    return this.#options.frames.waiter[frame] === this.#nobody;
  }

  /** The write in `frame` is held, and not stale: it overtakes its copy, if it has one; both stop being pending. */
  held(frame: number): void {
    const { frames, pending } = this.#options;
    const copy = this.#isNobodys(frame) ? pending.newerThan(frame) : NO_FRAME;
    pending.settle(copy === NO_FRAME ? frame : copy);
    if (copy === NO_FRAME) return;
    frames.stale[copy] = 1;
    frames.waiter[frame] = frames.waiter[copy]!;
    frames.waiter[copy] = this.#nobody;
  }

  /** The write in `frame` was not held. True if nobody waits for it: it is left to its copy, or has been overtaken. */
  leaveToCopy(frame: number): boolean {
    const { frames, pending } = this.#options;
    if (!this.#isNobodys(frame)) return false;
    if (frames.stale[frame] === 0) frames.isCopy[pending.forget(frame)] = 0;
    return true;
  }
}
