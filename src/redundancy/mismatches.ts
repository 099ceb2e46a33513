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

interface Mismatch {
  readonly group: number;
  /** The id of the group's parity page. */
  readonly groupId: number;
}

/** Pages of whole groups that a scrub (parity pages among them) or a read has found to be wrong. */
export class Mismatches {
  readonly #options: MismatchesOptions;
  /** By the id of the page. */
  readonly #found = new Map<number, Mismatch>();

  constructor(options: MismatchesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#found.size;
  }

  /** True if a page of the group is known to be wrong, and may be made anew. */
  has(group: number): boolean {
    for (const [pageId, mismatch] of this.#found)
      if (mismatch.group === group && this.#stands(group, mismatch.groupId, pageId)) return true;
    return false;
  }

  /** Live pages of groups that have such pages, but those that count as unprotected for another reason. */
  get unprotected(): number {
    const { live, degraded } = this.#options.groups;
    const wrong = new Set<number>();
    for (const [pageId, { group, groupId }] of this.#found) {
      if (degraded[group] === 0 && this.#stands(group, groupId, pageId)) wrong.add(group);
    }
    let pages = 0;
    for (const group of wrong) pages += live[group]!;
    return pages;
  }

  /** The parity server says so. What is of no group, or of the past, is passed over. */
  add(parity: Holder, group: number, groupId: number, pageId: number): void {
    const { groups, port } = this.#options;
    if (this.#found.has(pageId) || this.#found.size >= limits.mismatchesMax) return;
    if (!this.#stands(group, groupId, pageId) || groups.parityHolder[group] !== parity.index) return;
    const from = pageId === groupId ? parity : port.table.at(groups.holder[groups.memberOf(group, pageId)]!);
    if (!from.suspect) {
      const why = "its bytes are not what was written";
      port.notice("a server is suspect", { name: from.name, page: pageId, why }, "warn");
    }
    from.suspect = true;
    this.#found.set(pageId, { group, groupId });
    this.#mend(group, pageId);
  }

  /** A read has found a live member's page to be wrong. */
  addRead(member: number): void {
    const { groups } = this.#options;
    const group = groups.groupOf(member);
    const pageId = groups.pageId[member]!;
    const groupId = groups.parityId[group]!;
    if (!this.#stands(group, groupId, pageId)) return;
    if (this.#found.size < limits.mismatchesMax) this.#found.set(pageId, { group, groupId });
    this.#mend(group, pageId);
  }

  /** Begins again with those that are still wrong, and of one group with another each time: two may be wrong. */
  work(): void {
    const { busy } = this.#options.groups;
    for (const [pageId, mismatch] of [...this.#found]) {
      const { group, groupId } = mismatch;
      if (!this.#stands(group, groupId, pageId)) this.#found.delete(pageId);
      else if (busy[group] === 0) {
        this.#mend(group, pageId);
        if (busy[group] === 0) continue;
        this.#found.delete(pageId);
        this.#found.set(pageId, mismatch);
      }
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
