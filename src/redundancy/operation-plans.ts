import { OWN_STORE } from "../../proto/peer/index.ts";
import { GroupState, type GroupTable } from "./group-table.ts";
import type { Operation } from "./operation.ts";

/** Fills operations in: what is to be XORed for a new group, or for a lost page. */
export class OperationPlans {
  readonly #groups: GroupTable;

  constructor(groups: GroupTable) {
    this.#groups = groups;
  }

  /** Fills in the page of a member, and what it is the XOR of. */
  describeLost(operation: Operation, member: number): void {
    const groups = this.#groups;
    const group = groups.groupOf(member);
    operation.pageId = groups.pageId[member]!;
    operation.slot = groups.slot[member]!;
    operation.checksum = groups.checksum[member]!;
    operation.addSource(groups.parityId[group]!, OWN_STORE);
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (m !== member) operation.addSource(groups.pageId[m]!, groups.holder[m]!);
    }
  }

  /** True if the live members of the group can join those of the operation. */
  fits(operation: Operation, group: number): boolean {
    const groups = this.#groups;
    if (operation.memberCount + groups.live[group]! > groups.stride) return false;
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (groups.alive[m] === 0) continue;
      for (let i = 0; i < operation.memberCount; i += 1) {
        if (operation.memberHolders[i] === groups.holder[m]) return false;
      }
    }
    return true;
  }

  /**
   * The live members of the group become members of the operation's: by old parity and dead pages (leave, merge), or
   * by themselves (join): whichever is less to fetch, or always the latter.
   */
  include(operation: Operation, group: number, byThemselves = false): void {
    const groups = this.#groups;
    operation.from[operation.fromCount] = group;
    operation.fromCount += 1;
    const dead = groups.count[group]! - groups.live[group]!;
    const sameServer = groups.parityHolder[group] === operation.server;
    const isProtected = groups.state[group] === GroupState.PROTECTED;
    const byParity = !byThemselves && isProtected && sameServer && dead < groups.live[group]!;
    if (byParity) operation.addSource(groups.parityId[group]!, OWN_STORE);
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      const alive = groups.alive[m] === 1;
      if (alive) this.#includeMember(operation, m);
      if (alive !== byParity) operation.addSource(groups.pageId[m]!, groups.holder[m]!);
    }
  }

  /** The live members of the group but one become the operation's: by old parity, dead pages and that one. */
  includeBut(operation: Operation, group: number, but: number): void {
    const groups = this.#groups;
    operation.from[0] = group;
    operation.fromCount = 1;
    operation.addSource(groups.parityId[group]!, OWN_STORE);
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (m !== but && groups.alive[m] === 1) this.#includeMember(operation, m);
      else operation.addSource(groups.pageId[m]!, groups.holder[m]!);
    }
  }

  #includeMember(operation: Operation, member: number): void {
    const i = operation.memberCount;
    operation.memberIds[i] = this.#groups.pageId[member]!;
    operation.memberSlots[i] = this.#groups.slot[member]!;
    operation.memberChecksums[i] = this.#groups.checksum[member]!;
    operation.memberHolders[i] = this.#groups.holder[member]!;
    operation.memberCount += 1;
  }

  /** True if the operation frees frames. */
  frees(operation: Operation): boolean {
    let frames = operation.fromCount - 1;
    for (let i = 0; i < operation.fromCount; i += 1) {
      const group = operation.from[i]!;
      frames += this.#groups.count[group]! - this.#groups.live[group]!;
    }
    return frames > 0;
  }
}
