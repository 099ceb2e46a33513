import { highWord, lowWord } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import { type GroupTable, NONE } from "../redundancy/group-table.ts";
import type { Redundancy } from "../redundancy/redundancy.ts";
import type { FrameTable } from "./frame-table.ts";
import type { LinkSet } from "./link-set.ts";
import type { PageReads } from "./page-reads.ts";
import type { PageWaiter } from "./page-waiter.ts";

export interface GroupReadsOptions {
  arena: Arena;
  frames: FrameTable;
  table: IpTable;
  links: LinkSet;
  reads: PageReads;
  redundancy: () => Redundancy;
}

/** What a frame is fetched for. */
interface Fetch {
  readonly making: Making;
  /** Slot of the page (NONE: it is a parity page), and its server. */
  readonly slot: number;
  readonly holder: Holder;
}

/** A page that is being made in a reader's frame. */
interface Making {
  readonly frame: number;
  /** Pages of the group that are still to come. */
  left: number;
  failed: boolean;
}

/**
 * Makes a page of a group whose XOR is still with the client: from a copy of the accumulator, which may be sent and
 * given back meanwhile, and the group's other pages, each fetched into a frame of its own. Where a parity server has
 * the XOR, but does not reach the others, that is fetched as well.
 */
export class GroupReads {
  readonly #options: GroupReadsOptions;
  readonly #frames: FrameTable;
  /** What each frame is fetched for; as many as there may be. */
  readonly #fetchOf = new Map<number, Fetch>();
  readonly #fetching: PageWaiter = {
    pageDone: (frame) => {
      const { frame: into } = this.#fetchOf.get(frame)!.making;
      this.#options.arena.xor(this.#frames.address(into), this.#frames.address(frame), PAGE_BYTES);
      this.#fetched(frame);
    },
    pageUnread: (frame, isMissing) => {
      const { making, slot, holder } = this.#fetchOf.get(frame)!;
      making.failed = true;
      // The group has lost this page as well, and may now have lost too much.
      if (isMissing && slot !== NONE)
        this.#options.redundancy().pageMissing(slot, this.#frames.pageId[frame]!, holder);
      this.#fetched(frame);
    },
  };

  constructor(options: GroupReadsOptions) {
    this.#options = options;
    this.#frames = options.frames;
  }

  /** Makes the member's page in the frame of its reader; false if too many are being made. All others are linked. */
  make(groups: GroupTable, member: number, frame: number): boolean {
    const { arena } = this.#options;
    const frames = this.#frames;
    const group = groups.groupOf(member);
    const accumulator = groups.accumulator[group]!;
    const others = groups.count[group]! - (accumulator === NONE ? 0 : 1);
    if (this.#fetchOf.size + others > limits.fetchesMax || frames.free < others) return false;
    const making: Making = { frame, left: others, failed: false };
    if (accumulator === NONE) {
      arena.fill(frames.address(frame), 0, PAGE_BYTES);
      const { parityId, parityChecksum, parityHolder } = groups;
      this.#fetch(making, NONE, parityId[group]!, parityChecksum[group]!, parityHolder[group]!);
    } else arena.copy(frames.address(frame), frames.address(frames.frameOf(accumulator)), PAGE_BYTES);
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (m === member) continue;
      this.#fetch(making, groups.slot[m]!, groups.pageId[m]!, groups.checksum[m]!, groups.holder[m]!);
    }
    return true;
  }

  /** `slot`: NONE for the group's parity page. */
  #fetch(making: Making, slot: number, pageId: number, checksum: number, index: number): void {
    const { table, links } = this.#options;
    const frames = this.#frames;
    const frame = frames.take(frames.slot[making.frame]!, this.#fetching);
    frames.pageId[frame] = pageId;
    frames.checksum[frame] = checksum;
    const holder = table.at(index);
    this.#fetchOf.set(frame, { making, slot, holder });
    links.of(holder)!.getPage(frame);
  }

  /** A page of the group has come, or cannot be had. */
  #fetched(frame: number): void {
    const { making } = this.#fetchOf.get(frame)!;
    this.#fetchOf.delete(frame);
    this.#frames.give(frame);
    making.left -= 1;
    if (making.left > 0) return;
    const { arena, reads } = this.#options;
    const id = this.#frames.pageId[making.frame]!;
    const sum = arena.pageChecksum(this.#frames.address(making.frame), lowWord(id), highWord(id));
    reads.made(making.frame, !making.failed && sum === this.#frames.checksum[making.frame]);
  }
}
