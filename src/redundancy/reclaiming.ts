import type { Holder } from "../placement/holder.ts";
import type { Doubts } from "./doubts.ts";
import type { GroupLists } from "./group-lists.ts";
import { type GroupTable, NONE } from "./group-table.ts";
import type { Operation, OperationPool } from "./operation.ts";
import type { OperationPlans } from "./operation-plans.ts";
import type { RedundancyPort } from "./redundancy.ts";

/** Groups looked at for one that goes with another. */
export const LOOKED_AT = 48;

export interface ReclaimingOptions {
  groups: GroupTable;
  port: RedundancyPort;
  lists: GroupLists;
  /** First of the lists of groups by the number of live members. */
  byLive: number;
  plans: OperationPlans;
  doubts: Doubts;
  operations: OperationPool;
  /** Frames beyond those of live pages, as a share of these, before groups are reclaimed. */
  share: number;
  /** A COMPOSE for the server, for a group without members yet. */
  newGroup: (server: Holder) => Operation;
  start: (operation: Operation, server: Holder) => boolean;
}

/**
 * Frames of dead members: while frames that no live page is in are too many, groups with few live members are put
 * together: many at a time, since each message wakes processes, which costs more than what it carries.
 */
export class Reclaiming {
  readonly #options: ReclaimingOptions;
  readonly #groups: GroupTable;
  #isNeeded = false;
  /** Operations under way that reclaim. */
  #underWay = 0;

  constructor(options: ReclaimingOptions) {
    this.#options = options;
    this.#groups = options.groups;
  }

  /** Begins as much as there is to be done, and as may be under way. */
  work(): void {
    const { port, operations, share } = this.#options;
    const most = operations.size / 2;
    if (this.#underWay * 4 > most) return;
    const { liveMembers, deadMembers, groups } = this.#groups;
    const waste = deadMembers + groups - share * liveMembers;
    if (waste > 64 + liveMembers / 64) this.#isNeeded = true;
    else if (waste <= 0) this.#isNeeded = false;
    if (deadMembers === 0 || !(this.#isNeeded || port.table.someShortOfRoom)) return;
    while (this.#underWay < most && operations.underWay < most && this.#reclaimOne());
  }

  /** An operation that reclaims is over. */
  ended(): void {
    this.#underWay -= 1;
  }

  #reclaimOne(): boolean {
    const groups = this.#groups;
    const { port, lists, byLive, plans, doubts, operations, newGroup, start } = this.#options;
    for (let live = 1; live <= groups.stride; live += 1) {
      const first = lists.head(byLive + live);
      if (first === NONE) continue;
      const server = port.table.at(groups.parityHolder[first]!);
      if (!port.takesPages(server)) return false;
      lists.rotate(first);
      if (doubts.knows(first)) continue;
      const operation = newGroup(server);
      plans.include(operation, first);
      this.#fillUp(operation, first, live);
      if (plans.frees(operation)) {
        operation.reclaims = true;
        this.#underWay += 1;
        return start(operation, server);
      }
      groups.free(operation.group);
      operations.give(operation);
    }
    return false;
  }

  #fillUp(operation: Operation, first: number, fewest: number): void {
    const groups = this.#groups;
    const { lists, byLive, plans, doubts } = this.#options;
    let looked = 0;
    for (let live = fewest; live <= groups.stride - operation.memberCount; live += 1) {
      let group = lists.head(byLive + live);
      while (group !== NONE && looked < LOOKED_AT) {
        const next = groups.next[group]!;
        looked += 1;
        const isGood = group !== first && !doubts.knows(group);
        if (isGood && plans.fits(operation, group)) plans.include(operation, group);
        group = next;
      }
    }
  }
}
