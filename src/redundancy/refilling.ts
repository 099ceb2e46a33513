import type { Holder } from "../placement/holder.ts";
import type { Doubts } from "./doubts.ts";
import { BARE, BY_LIVE, type GroupLists } from "./group-lists.ts";
import { type GroupTable, NONE } from "./group-table.ts";
import type { Operation, OperationPool } from "./operation.ts";
import type { OperationPlans } from "./operation-plans.ts";
import type { Pace } from "./pace.ts";
import type { Parting } from "./parting.ts";
import type { Reach } from "./reach.ts";
import type { RedundancyPort } from "./redundancy.ts";
import type { Standing } from "./standing.ts";

/** Groups of each number of live members looked at for a place, and bare ones at a time. */
const LOOKED_AT = 48;

/** Groups looked at between two ticks, at most: where nothing fits, that is not found out all the time. */
const LOOKED_AT_A_TICK = 4_096;

export interface RefillingOptions {
  groups: GroupTable;
  port: RedundancyPort;
  lists: GroupLists;
  plans: OperationPlans;
  operations: OperationPool;
  doubts: Doubts;
  reach: Reach;
  standing: Standing;
  parting: Parting;
  pace: Pace;
  /** True if what the lists say of a group that is not degraded holds: not all may have been looked at. */
  isWhole: (group: number) => boolean;
  /** A COMPOSE of a new group on this server, without sources and members yet. */
  newGroup: (server: Holder) => Operation;
  /** Begins it, at the rate of what mends. */
  begin: (operation: Operation, server: Holder) => boolean;
}

/**
 * Where parity servers have no frame for one more group, pages of bare groups take the places that dead members have
 * left in protected ones:
 *
 *     page of a bare group  +  protected group with few live ones  ->  COMPOSE
 *
 * That takes a frame of those that are kept for COMPOSE, until the old group is dropped.
 */
export class Refilling {
  readonly #options: RefillingOptions;
  readonly #groups: GroupTable;
  #looksLeft = LOOKED_AT_A_TICK;

  constructor(options: RefillingOptions) {
    this.#options = options;
    this.#groups = options.groups;
  }

  /** Time passes. */
  tick(): void {
    this.#looksLeft = LOOKED_AT_A_TICK;
  }

  work(): void {
    const { lists, doubts, standing } = this.#options;
    for (let i = Math.min(lists.length(BARE), LOOKED_AT); i > 0 && this.#mayBegin; i -= 1) {
      const group = lists.head(BARE);
      if (group === NONE) break;
      lists.rotate(group);
      if (!doubts.knows(group) && standing.livesLinked(group)) this.#refillWith(group);
    }
  }

  get #mayBegin(): boolean {
    const { operations, port, pace } = this.#options;
    if (this.#looksLeft <= 0 || pace.isSpent) return false;
    return operations.underWay * 2 < operations.size && port.table.someParityComposes;
  }

  /** Pages of a bare group take the places that there are: each by itself where they do not fit together. */
  #refillWith(group: number): void {
    const groups = this.#groups;
    const together = this.#placeFor(groups.first(group), groups.last(group));
    if (together !== NONE) return this.#join(group, together);
    if (groups.count[group] === 1) return;
    for (let m = groups.last(group) - 1; m >= groups.first(group) && this.#mayBegin; m -= 1) {
      const place = this.#placeFor(m, m + 1);
      if (place !== NONE) this.#joinAlone(m, place);
    }
  }

  #serverOf(group: number): Holder {
    return this.#options.port.table.at(this.#groups.parityHolder[group]!);
  }

  /** A protected group that these members of another can join, the fullest that there is; or NONE. */
  #placeFor(from: number, to: number): number {
    const { lists } = this.#options;
    for (let live = this.#groups.stride - (to - from); live > 0; live -= 1) {
      const list = BY_LIVE + live;
      for (let i = Math.min(lists.length(list), LOOKED_AT); i > 0 && this.#looksLeft > 0; i -= 1) {
        this.#looksLeft -= 1;
        const group = lists.head(list);
        if (this.#isPlace(group, from, to)) return group;
        lists.rotate(group);
      }
    }
    return NONE;
  }

  #isPlace(group: number, from: number, to: number): boolean {
    const { port, doubts, reach, isWhole } = this.#options;
    const groups = this.#groups;
    for (let m = from; m < to; m += 1) if (this.#hasLiveOn(group, groups.holder[m]!)) return false;
    if (doubts.knows(group) || !isWhole(group)) return false;
    const server = this.#serverOf(group);
    if (!server.hasFrame || !port.takesPages(server) || !reach.isClearFor(server, group)) return false;
    return reach.isClearFor(server, groups.groupOf(from));
  }

  #hasLiveOn(group: number, holder: number): boolean {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1)
      if (groups.alive[m] === 1 && groups.holder[m] === holder) return true;
    return false;
  }

  /** The member of a bare group joins a protected one, without the rest. */
  #joinAlone(member: number, place: number): void {
    const group = this.#groups.groupOf(member);
    const own = this.#groups.count[group] === 1 ? group : this.#options.parting.goOwnWay(member);
    this.#join(own, place);
  }

  /** The members of a bare group join a protected one. */
  #join(group: number, place: number): void {
    const { plans, newGroup, begin } = this.#options;
    const server = this.#serverOf(place);
    const operation = newGroup(server);
    plans.include(operation, place);
    plans.include(operation, group, true);
    operation.reclaims = true;
    begin(operation, server);
  }
}
