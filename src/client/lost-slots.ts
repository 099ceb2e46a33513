import { limits } from "../base/limits.ts";
import type { IpTable } from "../placement/ip-table.ts";
import type { Redundancy } from "../redundancy/redundancy.ts";
import type { SlotMap } from "../slots/slot-map.ts";

export interface LostSlotsParts {
  slots: SlotMap;
  table: IpTable;
  redundancy: () => Redundancy;
  /** The page that the slot means is needed no more; what the slot means next is set after it. */
  release: (slot: number) => void;
}

/**
 * Finds, without redundancy, the slots that still mean a page of a server that is provably gone, some at a time: as
 * long as there is one, the server keeps its row in the table, and one that is started again and again would use up
 * all rows. Their pages are named and counted when somebody reads them.
 */
export class LostSlots {
  readonly #parts: LostSlotsParts;
  #next = 0;

  constructor(parts: LostSlotsParts) {
    this.#parts = parts;
  }

  /** Only here has nobody but its server a page. */
  get #isFinal(): boolean {
    return this.#parts.redundancy().mode === "none";
  }

  /** Slots whose page is provably lost, found or not. */
  get count(): number {
    const { slots, table } = this.#parts;
    return slots.lost + (this.#isFinal ? table.pagesOfDead : 0);
  }

  /** Looks at the next slots, if there is anything to be found. */
  tick(): void {
    const { slots, table, release } = this.#parts;
    if (!this.#isFinal || table.pagesOfDead === 0) return;
    for (let left = Math.min(slots.slots, limits.lostSlotsPerTickMax); left > 0; left -= 1) {
      const slot = this.#next;
      this.#next = (slot + 1) % slots.slots;
      const holder = slots.holder(slot);
      if (holder < 0 || table.at(holder).state !== "dead") continue;
      release(slot);
      slots.setLostUnread(slot);
    }
  }
}
