import { limits } from "../base/limits.ts";
import type { Absences } from "./absences.ts";
import type { GivingUp } from "./giving-up.ts";
import { BY_LIVE, DEGRADED, type GroupLists } from "./group-lists.ts";
import { type GroupTable, NONE } from "./group-table.ts";
import type { Reclaiming } from "./reclaiming.ts";
import type { RedundancyPort } from "./redundancy.ts";
import type { Standing } from "./standing.ts";

/** What is said of it. */
export const GIVEN_UP = "the parity of groups was given up";

export interface LastResortOptions {
  groups: GroupTable;
  port: RedundancyPort;
  lists: GroupLists;
  absences: Absences;
  standing: Standing;
  givingUp: GivingUp;
  reclaiming: Reclaiming;
  /** True if something of the group is not what it should be: its parity may make up for that. */
  isDoubted: (group: number) => boolean;
}

/**
 * A page that waits for room without end freezes the machine that swaps. Where no memory server has any for it, and no
 * parity server can take dead members out of their groups (the only one is away, does not reach the memory servers, or
 * has no frame for a new group), groups have their parity given up: their dead members become free frames, and the live
 * ones stay unprotected, as those that are written meanwhile do, until a parity server makes them new groups.
 *
 * Only pages that have counted as unprotected already lose their parity, and only where their servers are known to have
 * stood since: a server that was gone by then, unnoticed, was lost when the parity made up for it.
 */
export class LastResort {
  readonly #options: LastResortOptions;
  /** When a page waited and no server had room, first and last; moments when some had do not count. */
  #firstMs = Number.NEGATIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Since when any group may have its parity given up. */
  #exposedMs = Number.POSITIVE_INFINITY;
  /** Groups given up that nobody was told of, and when somebody was told last. */
  #unsaid = 0;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(options: LastResortOptions) {
    this.#options = options;
  }

  /** True while the parity of any group may be given up, although its server stands. */
  get exposesAll(): boolean {
    return this.#exposedMs < Number.POSITIVE_INFINITY;
  }

  /** Time passes. */
  tick(nowMs: number): void {
    const { port, groups, reclaiming } = this.#options;
    const { table } = port;
    const isOut = port.pagesWait && table.upCount > 0 && !table.someHasRoomBesides(NONE);
    if (isOut) {
      if (nowMs - this.#lastMs > limits.roomPatienceMs) this.#firstMs = nowMs;
      this.#lastMs = nowMs;
    }
    const isLong = this.#lastMs - this.#firstMs >= limits.roomPatienceMs;
    const isNow = nowMs - this.#lastMs <= limits.roomPatienceMs;
    const isCutOff = isLong && isNow && reclaiming.cutOff.isLong;
    this.#exposedMs = isCutOff ? Math.min(this.#exposedMs, nowMs) : Number.POSITIVE_INFINITY;
    if (isOut && isLong && groups.deadMembers > 0) {
      const left = this.#giveUpOrphans(limits.groupsGivenUpForRoom);
      this.#unsaid += limits.groupsGivenUpForRoom - (isCutOff ? this.#giveUpByLive(left) : left);
    }
    this.#say(nowMs);
  }

  #say(nowMs: number): void {
    if (this.#unsaid === 0 || nowMs - this.#saidMs < limits.starvedNoticeMs) return;
    const why = "no memory server has room, and no parity server can make any";
    this.#options.port.notice(GIVEN_UP, { groups: this.#unsaid, why }, "warn");
    this.#unsaid = 0;
    this.#saidMs = nowMs;
  }

  /** Groups whose parity server is away; returns how many more may be given up. */
  #giveUpOrphans(most: number): number {
    const { groups, absences } = this.#options;
    return this.#giveUp(DEGRADED, most, (group) => {
      const parity = groups.parityHolder[group]!;
      return absences.isLost(parity, limits.roomPatienceMs) && this.#stood(group, absences.sinceMs(parity));
    });
  }

  /** Groups with the fewest live members first, which have the most dead ones. */
  #giveUpByLive(most: number): number {
    const { groups, standing } = this.#options;
    const isWhole = (group: number): boolean =>
      !standing.isDegraded(group) && this.#stood(group, this.#exposedMs);
    let left = most;
    for (let live = 1; live < groups.stride; live += 1) left = this.#giveUp(BY_LIVE + live, left, isWhole);
    return left;
  }

  #giveUp(list: number, most: number, mayBe: (group: number) => boolean): number {
    const { groups, lists, givingUp, isDoubted } = this.#options;
    let left = most;
    for (let i = Math.min(lists.length(list), limits.groupStepsPerTick); i > 0 && left > 0; i -= 1) {
      const group = lists.head(list);
      const hasDead = groups.count[group]! > groups.live[group]!;
      if (hasDead && !isDoubted(group) && mayBe(group)) {
        givingUp.parity(group);
        left -= 1;
      } else lists.rotate(group);
    }
    return left;
  }

  /** True if the servers of all members are linked, and have stood after `ms`. */
  #stood(group: number, ms: number): boolean {
    const { groups, port } = this.#options;
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      const holder = groups.holder[m]!;
      if (!port.isLinked(holder) || port.table.at(holder).stoodMs <= ms) return false;
    }
    return true;
  }
}
