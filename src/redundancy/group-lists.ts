import { type GroupTable, NONE } from "./group-table.ts";

/** Lists of groups: without parity; that miss part of what they consist of; with room or dead members, by live ones. */
export const BARE = 0;
export const DEGRADED = 1;
export const BY_LIVE = 2;
const LISTS = BY_LIVE + 9;

/** Doubly linked lists of groups through the table's columns: a group is in one at most. */
export class GroupLists {
  readonly #groups: GroupTable;
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  readonly #lengths: Int32Array;
  /** List of each group, plus 1; 0: none. */
  #listOf: Uint8Array;

  constructor(groups: GroupTable) {
    this.#groups = groups;
    this.#listOf = new Uint8Array(groups.state.length);
    this.#heads = new Int32Array(LISTS).fill(NONE);
    this.#tails = new Int32Array(LISTS).fill(NONE);
    this.#lengths = new Int32Array(LISTS);
  }

  head(list: number): number {
    return this.#heads[list]!;
  }

  length(list: number): number {
    return this.#lengths[list]!;
  }

  /** Groups in the list and all after it. */
  lengthFrom(first: number): number {
    let groups = 0;
    for (let list = first; list < LISTS; list += 1) groups += this.#lengths[list]!;
    return groups;
  }

  /** The list that the group is in, or NONE. */
  of(group: number): number {
    return group < this.#listOf.length ? this.#listOf[group]! - 1 : NONE;
  }

  /** Puts the group at the end of a list (NONE: of no list), unless it is in it already. */
  put(group: number, list: number): void {
    const now = this.of(group);
    if (now === list) return;
    if (now !== NONE) this.#unlink(group, now);
    if (list !== NONE) this.#append(group, list);
  }

  /** Moves the group to the end of its list. */
  rotate(group: number): void {
    const list = this.of(group);
    this.#unlink(group, list);
    this.#append(group, list);
  }

  #append(group: number, list: number): void {
    const { next, previous } = this.#groups;
    const tail = this.#tails[list]!;
    next[group] = NONE;
    previous[group] = tail;
    if (tail === NONE) this.#heads[list] = group;
    else next[tail] = group;
    this.#tails[list] = group;
    this.#lengths[list]! += 1;
    if (group >= this.#listOf.length) this.#grow();
    this.#listOf[group] = list + 1;
  }

  #unlink(group: number, list: number): void {
    const { next, previous } = this.#groups;
    const before = previous[group]!;
    const after = next[group]!;
    if (before === NONE) this.#heads[list] = after;
    else next[before] = after;
    if (after === NONE) this.#tails[list] = before;
    else previous[after] = before;
    this.#lengths[list]! -= 1;
    this.#listOf[group] = 0;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#groups.state.length);
    larger.set(this.#listOf);
    this.#listOf = larger;
  }
}
