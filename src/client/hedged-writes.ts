import type { Arena } from "../base/arena.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import type { ClientCounters } from "./counters.ts";
import type { FrameTable } from "./frame-table.ts";
import type { LinkSet } from "./link-set.ts";
import type { PageWaiter } from "./page-waiter.ts";
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
  /** Writes that may be left to silent servers at a time: a frame each. */
  hedgesMax: number;
  /** The frame's page becomes the newest write of its slot. */
  writeOut: (frame: number) => void;
}

/**
 * Writes that a silent server has not acknowledged are made once more, to another one, as newer writes of their slots.
 * Whichever is held first, the slot means the newer one in the end; the other is garbage like any overtaken write.
 * Only of servers that say nothing at all: a slow network must not be given each page twice.
 */
export class HedgedWrites {
  readonly #options: HedgedWritesOptions;
  #left = 0;
  /** Owns the writes that were left to silent servers. */
  readonly #nobody: PageWaiter = {
    pageDone: () => {
      this.#left -= 1;
    },
  };
  readonly #hedge = (frame: number): void => this.#again(frame);

  constructor(options: HedgedWritesOptions) {
    this.#options = options;
  }

  /** Looks for writes that have waited for too long. */
  check(): void {
    const { table, links, patience } = this.#options;
    if (!this.#someoneTakes()) return;
    for (const holder of table.servers) {
      const link = links.of(holder);
      if (link !== undefined && patience.isSilent(link))
        link.visitWritesBefore(patience.beforeMs, this.#hedge);
    }
  }

  #someoneTakes(): boolean {
    for (const holder of this.#options.table.servers) if (this.#takes(holder)) return true;
    return false;
  }

  #takes(holder: Holder): boolean {
    const link = this.#options.links.of(holder);
    const isThere = link?.up === true && !this.#options.patience.isSilent(link);
    return isThere && !holder.full && holder.freeEstimate > 0;
  }

  #again(frame: number): void {
    const { arena, frames, pending, counters, hedgesMax, writeOut } = this.#options;
    if (frame >= frames.count || frames.waiter[frame] === this.#nobody) return;
    if (this.#left >= hedgesMax || frames.free === 0) return;
    const slot = frames.slot[frame]!;
    // What was overwritten since is nobody's concern; an older write of two is rare, and waits.
    if (pending.newest(slot) !== frame) return;
    const other = frames.take(slot, frames.waiter[frame]!);
    frames.waiter[frame] = this.#nobody;
    this.#left += 1;
    counters.writesHedged += 1;
    arena.copy(frames.address(other), frames.address(frame), PAGE_BYTES);
    writeOut(other);
  }
}
