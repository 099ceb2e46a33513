import type { GroupParts } from "./group-parts.ts";
import { GroupState, type GroupTable } from "./group-table.ts";

/** Pages that a server does not have any more, although it stands: from then on they are on its dead past. */
export class Vanished {
  readonly #groups: GroupTable;
  readonly #parts: GroupParts;

  constructor(parts: GroupParts) {
    this.#groups = parts.groups;
    this.#parts = parts;
  }

  /** The member's server does not have its page; false: the table of servers has no room to say so. */
  member(member: number): boolean {
    const groups = this.#groups;
    const past = this.#pastOf(groups.holder[member]!);
    if (past === undefined) return false;
    if (groups.alive[member] === 1) {
      const { port } = this.#parts;
      port.pageMoved(groups.slot[member]!, past, groups.pageId[member]!, groups.checksum[member]!);
    }
    this.#parts.disposal.dereference(groups.holder[member]!);
    groups.holder[member] = past;
    groups.seen(member);
    this.#degrade(groups.groupOf(member));
    return true;
  }

  /** The server of the held group's parity page does not have it. */
  parity(group: number): boolean {
    const groups = this.#groups;
    const past = this.#pastOf(groups.parityHolder[group]!);
    if (past === undefined) return false;
    this.#parts.disposal.dereference(groups.parityHolder[group]!);
    groups.parityHolder[group] = past;
    this.#degrade(group);
    return true;
  }

  /** Index of the holder's past, with one reference more. */
  #pastOf(index: number): number | undefined {
    const { table } = this.#parts.port;
    const past = table.pastOf(table.at(index));
    if (past === undefined) return undefined;
    past.references += 1;
    return past.index;
  }

  #degrade(group: number): void {
    const { state } = this.#groups;
    if (state[group] === GroupState.PROTECTED) this.#groups.setDegraded(group, true);
    else if (state[group] === GroupState.OPEN) return this.#parts.closeOpen(group);
    else if (state[group] !== GroupState.BARE) return;
    this.#parts.classify(group);
  }
}
