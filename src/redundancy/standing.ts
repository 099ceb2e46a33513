import { GroupState, type GroupTable, NONE } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";
import { WrongPages } from "./wrong-pages.ts";

/** How groups stand, by the links that there are. */
export class Standing {
  /** mirror: what is there, but of no use. */
  readonly wrong: WrongPages;
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;

  constructor(groups: GroupTable, port: RedundancyPort) {
    this.#groups = groups;
    this.#port = port;
    this.wrong = new WrongPages(groups);
  }

  /** True if the holder is provably gone. */
  isDead(holder: number): boolean {
    return this.#port.table.at(holder).state === "dead";
  }

  /** True if part of what a protected group consists of is out of reach, or known to be wrong. */
  isDegraded(group: number): boolean {
    const { state, parityHolder } = this.#groups;
    if (state[group] !== GroupState.PROTECTED) return false;
    if (this.wrong.of(group) !== NONE) return true;
    return !this.#port.isLinked(parityHolder[group]!) || this.#anyUnlinked(group, 0);
  }

  /** True if all live members can be reached. */
  livesLinked(group: number): boolean {
    return !this.#anyUnlinked(group, 1);
  }

  /** True if a member that is at least so much alive (1: it is) has a server that is not linked. */
  #anyUnlinked(group: number, alive: number): boolean {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (groups.alive[m]! >= alive && !this.#port.isLinked(groups.holder[m]!)) return true;
    }
    return false;
  }

  /** True if all that the member's page can be made of can be reached. */
  othersLinked(group: number, member: number): boolean {
    const { parityHolder, holder } = this.#groups;
    let linked = this.#port.isLinked(parityHolder[group]!);
    for (let m = this.#groups.first(group); m < this.#groups.last(group); m += 1) {
      linked &&= m === member || this.#port.isLinked(holder[m]!);
    }
    return linked;
  }

  /** True if another member of the group is on the holder. */
  sharesHolder(group: number, member: number, holder: number): boolean {
    for (let m = this.#groups.first(group); m < this.#groups.last(group); m += 1) {
      if (m !== member && this.#groups.holder[m] === holder) return true;
    }
    return false;
  }
}
