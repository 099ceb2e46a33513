import type { GroupLists } from "./group-lists.ts";
import { GroupState, type GroupTable, NONE } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";

/** Gives up what is needed no more: groups, members, parity pages, and the frames that they take on servers. */
export class GroupDisposal {
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  readonly #lists: GroupLists;

  constructor(groups: GroupTable, port: RedundancyPort, lists: GroupLists) {
    this.#groups = groups;
    this.#port = port;
    this.#lists = lists;
  }

  /** Frees the group, its members' frames and its parity. */
  drop(group: number): void {
    this.#lists.put(group, NONE);
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1) this.discard(m);
    if (groups.state[group] === GroupState.PROTECTED) this.dropParity(group);
    groups.free(group);
  }

  /** The group's parity page is needed no more; the caller changes its state. */
  dropParity(group: number): void {
    const { parityHolder, parityId } = this.#groups;
    this.#port.invalidate(parityHolder[group]!, parityId[group]!);
    this.dereference(parityHolder[group]!);
  }

  /** The member's page is needed no more; the caller takes it out. */
  discard(member: number): void {
    const { holder, pageId } = this.#groups;
    this.#port.invalidate(holder[member]!, pageId[member]!);
    this.dereference(holder[member]!);
  }

  /** One thing less names the holder. */
  dereference(index: number): void {
    const holder = this.#port.table.at(index);
    holder.references -= 1;
    this.#port.table.forgetIfUnused(holder);
  }

  /** Takes the dead members out of a group that has no parity to need them. */
  purge(group: number): void {
    for (let m = this.#groups.last(group) - 1; m >= this.#groups.first(group); m -= 1) {
      if (this.#groups.alive[m] === 1) continue;
      this.discard(m);
      this.#groups.remove(m);
    }
  }
}
