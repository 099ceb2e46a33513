import { ResultStatus } from "../../proto/peer/index.ts";
import type { Holder } from "../placement/holder.ts";
import { CutOff } from "./cut-off.ts";
import { BY_LIVE } from "./group-lists.ts";
import { type GroupTable, NONE } from "./group-table.ts";
import type { Operation } from "./operation.ts";
import { Refilling, type RefillingOptions } from "./refilling.ts";

/** Groups looked at for one that goes with another. */
export const LOOKED_AT = 48;

export interface ReclaimingOptions extends RefillingOptions {
  /** Frames beyond those of live pages, as a share of these, before groups are reclaimed. */
  reclaimShare: number;
  /** After one that found no frame for its parity page, none is begun for so long. */
  retryMs: number;
  /** True if it is known which page of the group is wrong: that is made anew first. */
  isWrong: (group: number) => boolean;
  start: (operation: Operation, server: Holder) => boolean;
}

/** Brings frames that no live page is in back: those of dead members, and of parity pages of small groups. */
export class Reclaiming {
  /** Parity servers are full, or do not reach what they need. */
  readonly cutOff = new CutOff();
  readonly #options: ReclaimingOptions;
  readonly #groups: GroupTable;
  readonly #refilling: Refilling;
  #isWasteful = false;
  /** Operations under way that reclaim. */
  #underWay = 0;
  /** Parity servers that had no frame for a new group, and the frames that they used then. */
  readonly #fullAt = new WeakMap<Holder, number>();
  /** None is begun before, since one has found no frame. */
  #againMs = 0;

  constructor(options: ReclaimingOptions) {
    this.#options = options;
    this.#groups = options.groups;
    const begin = (operation: Operation, server: Holder): boolean => {
      this.#underWay += 1;
      return options.begin(operation, server);
    };
    this.#refilling = new Refilling({ ...options, begin });
  }

  /** Time passes. */
  tick(): void {
    this.#refilling.tick();
  }

  /**
   * While frames that no live page is in are too many, groups with few live members are put together: many at a
   * time, since each message wakes processes, which costs more than what it carries.
   */
  work(): void {
    const { operations, port, reclaimShare } = this.#options;
    const most = operations.size / 2;
    if (this.#underWay * 4 > most || this.cutOff.nowMs < this.#againMs) return;
    const { liveMembers, deadMembers, groups } = this.#groups;
    const waste = deadMembers + groups - reclaimShare * liveMembers;
    if (waste > 64 + liveMembers / 64) this.#isWasteful = true;
    else if (waste <= 0) this.#isWasteful = false;
    const sheds = deadMembers > 0 && (this.#isWasteful || port.table.someShortOfRoom);
    if (!sheds && !port.table.someParityShortOfRoom) return;
    while (this.#underWay < most && operations.underWay < most && this.#one(sheds));
    // What is saved by merging takes one operation for many pages.
    if (this.#underWay === 0 && !port.table.someParityHasRoom) this.#refilling.work();
  }

  /** An operation that reclaims has ended (a ResultStatus); FULL: its server had no frame for the new parity page. */
  ended(operation: Operation, status: number): void {
    this.#underWay -= 1;
    if (status === ResultStatus.UNREACHABLE || status === ResultStatus.FULL) this.cutOff.inVain();
    else if (status === ResultStatus.OK && operation.needsOthers) this.cutOff.succeeded();
    const server = this.#options.port.table.at(operation.server);
    if (status === ResultStatus.FULL) {
      this.#fullAt.set(server, server.capacity.used);
      this.#againMs = this.cutOff.nowMs + this.#options.retryMs;
    } else this.#fullAt.delete(server);
  }

  /** True if the server had no frame for a new group, and nothing has changed there since. */
  #isKnownFull(server: Holder): boolean {
    return this.#fullAt.get(server) === server.capacity.used;
  }

  /** Begins with one group. Unless it `sheds` dead members for their own sake, a parity page is to be saved. */
  #one(sheds: boolean): boolean {
    const { lists, port, doubts, reach, plans, operations, isWhole, isWrong, newGroup, start } =
      this.#options;
    const groups = this.#groups;
    for (let live = 1; live <= groups.stride; live += 1) {
      const first = lists.head(BY_LIVE + live);
      if (first === NONE) continue;
      const server = port.table.at(groups.parityHolder[first]!);
      lists.rotate(first);
      if (!port.takesPages(server) || doubts.has(first) || !isWhole(first)) continue;
      if (this.#isKnownFull(server) || reach.isOutFor(server, first, NONE)) {
        this.cutOff.inVain();
        continue;
      }
      if (server.isTakenUp) continue;
      const isDoubted = doubts.knows(first);
      if (isDoubted && isWrong(first)) continue;
      const operation = newGroup(server);
      // One in doubt is tried by itself, from its live pages: what is dead, or its parity, may be what is not right.
      plans.include(operation, first, isDoubted);
      if (!isDoubted) this.#fillUp(operation, first, live);
      if (operation.fromCount > 1 || (sheds && plans.frees(operation))) {
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
    const { lists, doubts, plans, isWhole, port, reach } = this.#options;
    const groups = this.#groups;
    const server = port.table.at(operation.server);
    let looked = 0;
    for (let live = fewest; live <= groups.stride - operation.memberCount; live += 1) {
      let group = lists.head(BY_LIVE + live);
      while (group !== NONE && looked < LOOKED_AT) {
        const next = groups.next[group]!;
        looked += 1;
        const isGood =
          group !== first && !doubts.knows(group) && isWhole(group) && !reach.isOutFor(server, group, NONE);
        if (isGood && plans.fits(operation, group)) plans.include(operation, group);
        group = next;
      }
    }
  }
}
