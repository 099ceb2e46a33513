import type { GivingUp } from "./giving-up.ts";
import type { GroupParts } from "./group-parts.ts";
import { GroupState, type GroupTable, NONE } from "./group-table.ts";

/**
 * Groups of which two members have come to be on one server, for want of another: one of them is to go its own way.
 *
 *     PROTECTED -> begin -> PARTING -> COMPOSE of the rest, from the old parity and the member that goes: one page
 *                              |        \-> done: the member is a bare group, the old group is dropped
 *                              \-> failed, or not begun: the member and the rest are bare groups
 */
export class Parting {
  readonly #groups: GroupTable;
  readonly #parts: GroupParts;
  readonly #givingUp: GivingUp;

  constructor(parts: GroupParts, givingUp: GivingUp) {
    this.#groups = parts.groups;
    this.#parts = parts;
    this.#givingUp = givingUp;
  }

  /** Two members of the group share a server from here on. True if the rest can be composed. */
  begin(group: number): boolean {
    const isWhole = !this.#parts.standing.isDegraded(group);
    this.#groups.setState(group, GroupState.PARTING);
    return isWhole && this.#groups.live[group]! > 1;
  }

  /** The live members that are to stay together have left for a new group: who is left alive goes its own way. */
  done(group: number): void {
    if (this.#groups.state[group] !== GroupState.PARTING) return;
    this.#groups.setState(group, GroupState.PROTECTED);
    for (let m = this.#groups.last(group) - 1; m >= this.#groups.first(group); m -= 1) {
      if (this.#groups.alive[m] === 1) this.goOwnWay(m);
    }
  }

  /** There is no new group: the parity is given up, since it does not protect those who share a server. */
  failed(group: number): void {
    if (this.#groups.state[group] !== GroupState.PARTING) return;
    this.#givingUp.bare(group);
    const shared = this.#shared(group);
    if (shared !== NONE) this.goOwnWay(shared);
  }

  /** Each member of a bare group becomes a bare group. */
  scatter(group: number): void {
    for (let m = this.#groups.last(group) - 1; m > this.#groups.first(group); m -= 1) this.goOwnWay(m);
  }

  /** As `scatter`; false if the group is not bare, or has no more than one member. */
  scatterBare(group: number): boolean {
    if (this.#groups.state[group] !== GroupState.BARE || this.#groups.count[group]! < 2) return false;
    this.scatter(group);
    return true;
  }

  /** A member whose server has another one, or NONE. */
  #shared(group: number): number {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (this.#parts.standing.sharesHolder(group, m, groups.holder[m]!)) return m;
    }
    return NONE;
  }

  /** The member becomes a bare group, which is returned. */
  goOwnWay(member: number): number {
    const own = this.#groups.make(GroupState.BARE);
    this.#groups.transfer(member, own);
    this.#parts.classify(own);
    return own;
  }
}
