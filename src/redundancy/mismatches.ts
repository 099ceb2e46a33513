import { limits } from "../base/limits.ts";
import type { Holder } from "../placement/holder.ts";
import { GroupState, type GroupTable, NONE } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";

export interface MismatchesOptions {
  groups: GroupTable;
  port: RedundancyPort;
  /** Has a member's page made anew from the rest of its group; does nothing if that cannot be done now. */
  rebuildMember: (member: number) => void;
  /** Has a group made anew from its live pages; does nothing if that cannot be done now. */
  renew: (group: number) => void;
}

/** Whole groups of which a parity server's scrub has found one page, or the parity page, to be wrong. */
export class Mismatches {
  readonly #options: MismatchesOptions;
  /** By group: the ids of its parity page and of the page that is wrong. */
  readonly #found = new Map<number, { readonly groupId: number; readonly pageId: number }>();

  constructor(options: MismatchesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#found.size;
  }

  /** Live pages of these groups, but those that count as unprotected for another reason. */
  get unprotected(): number {
    const { live, degraded } = this.#options.groups;
    let pages = 0;
    for (const [group, { groupId, pageId }] of this.#found) {
      if (degraded[group] === 0 && this.#stands(group, groupId, pageId)) pages += live[group]!;
    }
    return pages;
  }

  /** The parity server says so. What is of no group, or of the past, is passed over. */
  add(parity: Holder, group: number, groupId: number, pageId: number): void {
    const { groups, port } = this.#options;
    if (this.#found.has(group) || this.#found.size >= limits.mismatchesMax) return;
    if (!this.#stands(group, groupId, pageId) || groups.parityHolder[group] !== parity.index) return;
    const from = pageId === groupId ? parity : port.table.at(groups.holder[groups.memberOf(group, pageId)]!);
    if (!from.suspect) port.notice(`"${from.name}" is suspect: its page ${pageId} is not what was written`);
    from.suspect = true;
    this.#found.set(group, { groupId, pageId });
    this.#mend(group, pageId);
  }

  /** Begins again with those that are still wrong. */
  work(): void {
    for (const [group, { groupId, pageId }] of this.#found) {
      if (this.#stands(group, groupId, pageId)) this.#mend(group, pageId);
      else this.#found.delete(group);
    }
  }

  /** The group is held, as it was then, with that page. */
  #stands(group: number, groupId: number, pageId: number): boolean {
    const { groups } = this.#options;
    const isSame =
      group < groups.end &&
      groups.state[group] === GroupState.PROTECTED &&
      groups.parityId[group] === groupId;
    return isSame && (pageId === groupId || groups.memberOf(group, pageId) !== NONE);
  }

  #mend(group: number, pageId: number): void {
    const { groups, rebuildMember, renew } = this.#options;
    const member = groups.memberOf(group, pageId);
    if (member !== NONE && groups.alive[member] === 1) rebuildMember(member);
    else renew(group);
  }
}
