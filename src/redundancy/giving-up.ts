import type { GroupParts } from "./group-parts.ts";
import { GroupState, type GroupTable } from "./group-table.ts";

/** Gives up what is provably of no use any more: parity pages, and pages that nothing makes up for. */
export class GivingUp {
  readonly #groups: GroupTable;
  readonly #parts: GroupParts;

  constructor(parts: GroupParts) {
    this.#groups = parts.groups;
    this.#parts = parts;
  }

  /** The group's parity is of no use: its live members look for a new group. */
  parity(group: number): void {
    this.bare(group);
    this.#parts.classify(group);
  }

  /** More is gone than the parity can make up for: members whose server is dead are lost. */
  parityAndLost(group: number): void {
    this.bare(group);
    this.lost(group);
    this.#parts.classify(group);
  }

  /** The group has no parity any more, nor dead members; the caller classifies it. */
  bare(group: number): void {
    this.#parts.disposal.dropParity(group);
    this.#groups.setState(group, GroupState.BARE);
    this.#groups.setDegraded(group, false);
    this.#parts.disposal.purge(group);
  }

  /** Members of a bare group whose server is dead are lost. */
  lost(group: number): void {
    const groups = this.#groups;
    const { port, standing, disposal } = this.#parts;
    for (let m = groups.last(group) - 1; m >= groups.first(group); m -= 1) {
      if (!standing.isDead(groups.holder[m]!)) continue;
      groups.busy[group]! += 1;
      const { name, fate } = port.table.at(groups.holder[m]!);
      port.pageLost(groups.slot[m]!, `its server "${name}" ${fate}, and what could make up for it is gone`);
      groups.busy[group]! -= 1;
      disposal.discard(m);
      groups.remove(m);
    }
  }
}
