import type { IpTable } from "../placement/ip-table.ts";
import { type GroupTable, NONE } from "./group-table.ts";

/** Closed groups that the same servers can take the parity of. */
export interface Lane {
  /** The memory server that cannot, since it has the page; NONE: these go to parity servers. The lane keeps its row. */
  readonly holder: number;
  /** Those to be sent, the oldest first. */
  queue: number[];
  /** How many groups are closing, those on their way included; and by the epoch in which they closed. */
  closing: number;
  readonly closingIn: Map<number, number>;
  /** Since when nobody takes the parity of those in the queue, as far as known. */
  stuckMs: number;
}

/**
 * Closed groups by whom their parity can go to, so that one that nobody takes stands in nobody's way but of those
 * that nobody takes either. Parity servers take that of any group: one lane. A mirror's copy can go to any server
 * but that of the page: a lane for each of these.
 */
export class ClosingLanes {
  readonly #groups: GroupTable;
  readonly #table: IpTable;
  readonly #mirror: boolean;
  /** Those with a group that is closing. */
  readonly #lanes = new Map<number, Lane>();

  constructor(groups: GroupTable, table: IpTable, mirror: boolean) {
    this.#groups = groups;
    this.#table = table;
    this.#mirror = mirror;
  }

  get all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  /** The lane of a group that is closing. */
  of(group: number): Lane {
    return this.#lanes.get(this.#groups.next[group]!)!;
  }

  /** The group closes: it is to be sent. */
  enter(group: number, epoch: number): void {
    const holder = this.#mirror ? this.#groups.holder[this.#groups.first(group)]! : NONE;
    let lane = this.#lanes.get(holder);
    if (lane === undefined) {
      lane = { holder, queue: [], closing: 0, closingIn: new Map(), stuckMs: Number.POSITIVE_INFINITY };
      if (holder !== NONE) this.#table.at(holder).references += 1;
      this.#lanes.set(holder, lane);
    }
    // A closing group is in no list: its links are free to say when it closed, and its lane, as its page may move.
    this.#groups.previous[group] = epoch;
    this.#groups.next[group] = holder;
    lane.closing += 1;
    lane.closingIn.set(epoch, (lane.closingIn.get(epoch) ?? 0) + 1);
    lane.queue.push(group);
  }

  /** Mirrored pages of some groups in the lane's queue are not with its server any more: these go to other lanes. */
  sortOut(lane: Lane): void {
    if (lane.holder === NONE) return;
    const { holder, previous } = this.#groups;
    const isMoved = (group: number): boolean => holder[this.#groups.first(group)] !== lane.holder;
    if (!lane.queue.some(isMoved)) return;
    const moved = lane.queue.filter(isMoved);
    lane.queue = lane.queue.filter((group) => !isMoved(group));
    for (const group of moved) {
      const epoch = previous[group]!;
      this.leave(group);
      this.enter(group, epoch);
    }
  }

  /** The group, which is in no queue any more, is closing no longer. */
  leave(group: number): void {
    const lane = this.of(group);
    const epoch = this.#groups.previous[group]!;
    lane.closing -= 1;
    const left = lane.closingIn.get(epoch)! - 1;
    if (left > 0) lane.closingIn.set(epoch, left);
    else lane.closingIn.delete(epoch);
    if (lane.closing === 0) this.#close(lane);
    this.#groups.previous[group] = NONE;
    this.#groups.next[group] = NONE;
  }

  #close({ holder }: Lane): void {
    this.#lanes.delete(holder);
    if (holder === NONE) return;
    const row = this.#table.at(holder);
    row.references -= 1;
    this.#table.forgetIfUnused(row);
  }

  /** True if a group of the lane that closed in this epoch, or before, is still closing. */
  isClosingUpTo(lane: Lane, epoch: number): boolean {
    for (const closing of lane.closingIn.keys()) if (closing <= epoch) return true;
    return false;
  }
}
