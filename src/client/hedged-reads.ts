import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import { type Redundancy, Rescue } from "../redundancy/redundancy.ts";
import { Place, type SlotMap } from "../slots/slot-map.ts";
import type { ClientCounters } from "./counters.ts";
import type { FrameTable } from "./frame-table.ts";
import type { LinkSet } from "./link-set.ts";
import { PageResult, type PageWaiter } from "./page-waiter.ts";
import type { Patience } from "./patience.ts";

export interface HedgedReadsOptions {
  frames: FrameTable;
  slots: SlotMap;
  table: IpTable;
  links: LinkSet;
  redundancy: () => Redundancy;
  patience: Patience;
  counters: ClientCounters;
  /** Reads that may be left to a slow server at a time: a frame each. */
  hedgesMax: number;
}

/**
 * Reads that a server has been slow to answer are made from the rest of the page's group instead. The frame that the
 * slow server may still write to is left to it until it has answered, or its link ends; the read goes on in another.
 */
export class HedgedReads {
  readonly #options: HedgedReadsOptions;
  #left = 0;
  #slow: Holder | undefined;
  /** Owns the frames that reads have left. */
  readonly #nobody: PageWaiter = {
    pageDone: (frame) => {
      this.#left -= 1;
      this.#options.frames.give(frame);
    },
  };
  readonly #hedge = (frame: number): void => this.#reroute(frame);

  constructor(options: HedgedReadsOptions) {
    this.#options = options;
  }

  /** True if no read waits in the frame any more. */
  isLeft(frame: number): boolean {
    return this.#options.frames.waiter[frame] === this.#nobody;
  }

  /** Looks for reads that have waited for too long. */
  check(): void {
    const { redundancy, table, links, patience } = this.#options;
    if (redundancy().mode === "none") return;
    for (const holder of table.servers) {
      const link = links.of(holder);
      if (link === undefined) continue;
      this.#slow = holder;
      const beforeMs = patience.isSilent(holder, link) ? patience.lookedBeforeMs : patience.readsBeforeMs;
      link.visitReadsBefore(beforeMs, this.#hedge);
    }
  }

  #reroute(frame: number): void {
    const { frames, slots, redundancy, counters, hedgesMax } = this.#options;
    const slot = frames.slot[frame]!;
    if (frame >= frames.count || this.isLeft(frame) || this.#left >= hedgesMax || frames.free === 0) return;
    const isCurrent = slots.place(slot) >= Place.FIRST_HOLDER && slots.pageId(slot) === frames.pageId[frame];
    if (!isCurrent) return;
    const waiter = frames.waiter[frame]!;
    const other = frames.take(slot, waiter);
    frames.pageId[other] = frames.pageId[frame]!;
    frames.checksum[other] = frames.checksum[frame]!;
    const outcome = redundancy().rescue(slot, other, this.#slow!);
    if (outcome !== Rescue.UNDER_WAY && outcome !== Rescue.DONE) {
      frames.give(other);
      return;
    }
    waiter.frameReplaced?.(frame, other);
    frames.waiter[frame] = this.#nobody;
    this.#left += 1;
    counters.readsHedged += 1;
    if (outcome === Rescue.DONE) waiter.pageDone(other, PageResult.OK);
  }
}
