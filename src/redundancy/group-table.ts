import { invariant } from "../base/assert.ts";
import { PageIndex } from "./page-index.ts";

/** What protects the live members of a group. */
export const GroupState = {
  FREE: 0,
  /** Members still join; their XOR accumulates in a frame of the client's. */
  OPEN: 1,
  /** No more join; the parity page is on its way, the accumulator is kept until it is acknowledged. */
  CLOSING: 2,
  /** The parity page is held. */
  PROTECTED: 3,
  /** Nothing: there is no parity page (any more), and no accumulator. Its members are alive, all of them. */
  BARE: 4,
  /**
   * Its parity page is held, but two members are on one server; a group for the others is being made (Parting). Busy
   * all the while.
   */
  PARTING: 6,
  /** Its parity page is being made from others; its members-to-be are still in their old groups. */
  COMPOSING: 5,
} as const;

/** No group, member or frame; the end of a list. */
export const NONE = -1;

/** The id of no page. */
export const NO_PAGE = 0;

const FIRST_GROUPS = 1024;

/** Members are numbered by 32 bits. */
const MEMBERS_MAX = 2 ** 31 - 1;

/** Holders are numbered by 16 bits. */
const HOLDERS = 2 ** 16;

/** Bytes that the index of slots takes, a slot. */
export const INDEX_BYTES = 4;

/** A fact of each group, which the table alone changes. */
export interface Column {
  readonly length: number;
  readonly [group: number]: number;
}

/** A page as a member of a group. No two have the same page id. */
export interface MemberPage {
  pageId: number;
  slot: number;
  checksum: number;
  /** Index of the holder. */
  holder: number;
}

/**
 * A client's parity groups and their members, a column a fact.
 *
 *     group g:   state, live, count, parity page (holder, id), accumulator      members g*stride … g*stride+count-1
 *     member m:  page id, slot, checksum, holder, alive
 *     slot s:    its live member, if it has one; dead ones, that their groups still need, are found by their page ids
 *
 * Bytes: 4 a slot, 24 a member, 4 more a dead one, 32 a group. A member is a page: it never changes; only a live one
 * that is rebuilt moves, under a new id, to another holder. Removing one from a group moves the group's last into its
 * place.
 */
export class GroupTable {
  /** Members that a group can have. */
  readonly stride: number;
  count = new Uint8Array(0);
  /** Operations that the group's members or parity take part in: it may not be dropped or changed meanwhile. */
  busy = new Uint8Array(0);
  parityHolder = new Uint16Array(0);
  parityId = new Float64Array(0);
  parityChecksum = new Uint32Array(0);
  accumulator = new Int32Array(0);
  /** Links of the list that the group is in; free groups are in one too. */
  next = new Int32Array(0);
  previous = new Int32Array(0);
  pageId = new Float64Array(0);
  slot = new Int32Array(0);
  checksum = new Uint32Array(0);
  holder = new Uint16Array(0);
  alive = new Uint8Array(0);
  /** Times that a member that was not seen (`isSeen`) went to another group, by its holder. */
  readonly strayed = new Uint32Array(HOLDERS);
  /** Live member of each slot, plus 1; 0 for none: fresh memory costs nothing until it is used. */
  readonly #ofSlot: Int32Array;
  readonly #dead: PageIndex;
  #state = new Uint8Array(0);
  #live = new Uint8Array(0);
  #degraded = new Uint8Array(0);
  /** The round of its holder's lists (RollCall) in which a member was seen last, or that it came in; a parity page. */
  #seen = new Uint8Array(0);
  #seenParity = new Uint8Array(0);
  readonly #rounds = new Uint8Array(HOLDERS);
  readonly #transferred: MemberPage = { pageId: 0, slot: 0, checksum: 0, holder: 0 };
  #freeFirst = NONE;
  #everUsed = 0;
  #groups = 0;
  #liveMembers = 0;
  #deadMembers = 0;
  #unprotected = 0;

  /** @param groups for so many there is room from the start; where they are more the table doubles */
  constructor(slots: number, stride: number, groups = FIRST_GROUPS) {
    this.stride = stride;
    this.#ofSlot = new Int32Array(slots);
    this.#dead = new PageIndex(this);
    this.#enlarge(Math.min(Math.max(FIRST_GROUPS, groups), Math.floor(MEMBERS_MAX / stride)));
  }

  /** The memory of the index of slots, and of as many groups as take so many bytes a slot. */
  memory(bytesPerSlot: number): Uint8Array[] {
    const groups = this.#state.length;
    const columns = [
      ...[this.#state, this.count, this.#live, this.busy, this.#degraded, this.parityHolder, this.parityId],
      ...[this.parityChecksum, this.accumulator, this.#seenParity, this.next, this.previous],
      ...[this.pageId, this.slot, this.checksum, this.holder, this.alive, this.#seen],
      this.#dead.memory,
    ];
    const groupBytes = columns.reduce((sum, column) => sum + column.byteLength, 0) / groups;
    const share = Math.min(1, (this.slots * bytesPerSlot) / groupBytes / groups);
    return [
      new Uint8Array(this.#ofSlot.buffer),
      ...columns.map((column) => new Uint8Array(column.buffer, 0, Math.ceil(column.byteLength * share))),
    ];
  }

  get state(): Column {
    return this.#state;
  }

  get live(): Column {
    return this.#live;
  }

  /** 1: when it was looked at last, a member's holder or that of the parity was lost: one more loss may lose pages. */
  get degraded(): Column {
    return this.#degraded;
  }

  /** Groups in use, and how far they reach: every group is below. */
  get groups(): number {
    return this.#groups;
  }

  get end(): number {
    return this.#everUsed;
  }

  get liveMembers(): number {
    return this.#liveMembers;
  }

  get deadMembers(): number {
    return this.#deadMembers;
  }

  /** Live members of groups that are bare, parting or degraded. */
  get unprotected(): number {
    return this.#unprotected;
  }

  /** Slots that the table knows. */
  get slots(): number {
    return this.#ofSlot.length;
  }

  groupOf(member: number): number {
    return Math.floor(member / this.stride);
  }

  first(group: number): number {
    return group * this.stride;
  }

  /** One past the group's last member. */
  last(group: number): number {
    return group * this.stride + this.count[group]!;
  }

  /** The slot's live member, or NONE. */
  liveOf(slot: number): number {
    return this.#ofSlot[slot]! - 1;
  }

  /** The member of this slot with this page id, alive or dead, or NONE. */
  find(slot: number, pageId: number): number {
    const live = this.liveOf(slot);
    if (live !== NONE && this.pageId[live] === pageId) return live;
    const dead = this.#dead.find(pageId);
    return dead !== NONE && this.slot[dead] === slot ? dead : NONE;
  }

  /** The group's member with this page id, alive or dead, or NONE. */
  memberOf(group: number, pageId: number): number {
    for (let m = this.first(group); m < this.last(group); m += 1) if (this.pageId[m] === pageId) return m;
    return NONE;
  }

  /** True if a member of the group is on the holder. */
  hasHolder(group: number, holder: number): boolean {
    for (let m = this.first(group); m < this.last(group); m += 1) if (this.holder[m] === holder) return true;
    return false;
  }

  /** The holder is asked for its list: nothing that it has was seen, from now on. */
  beginRound(holder: number): void {
    const round = (this.#rounds[holder]! + 1) & 0xff;
    if (round === 0) this.#forgetRounds(holder);
    this.#rounds[holder] = round;
  }

  /** Numbers begin again: what was seen in the first rounds must not seem to have been seen in the next ones. */
  #forgetRounds(holder: number): void {
    for (let m = 0; m < this.#everUsed * this.stride; m += 1)
      if (this.holder[m] === holder) this.#seen[m] = 0xff;
    for (let g = 0; g < this.#everUsed; g += 1)
      if (this.parityHolder[g] === holder) this.#seenParity[g] = 0xff;
  }

  /** The member's holder has it, by its list or since it came there just now. */
  seen(member: number): void {
    this.#seen[member] = this.#rounds[this.holder[member]!]!;
  }

  isSeen(member: number): boolean {
    return this.#seen[member] === this.#rounds[this.holder[member]!];
  }

  /** As `seen` and `isSeen`, of the group's parity page. */
  paritySeen(group: number): void {
    this.#seenParity[group] = this.#rounds[this.parityHolder[group]!]!;
  }

  isParitySeen(group: number): boolean {
    return this.#seenParity[group] === this.#rounds[this.parityHolder[group]!];
  }

  /** What was the parity page of the member's group is the member from now on: it was seen if that was. */
  seenAsParity(member: number): void {
    this.#seen[member] = this.#seenParity[this.groupOf(member)]!;
  }

  /** A new group without members. */
  make(state: number): number {
    let group = this.#freeFirst;
    if (group !== NONE) this.#freeFirst = this.next[group]!;
    else {
      group = this.#everUsed;
      if (group === this.#state.length) this.#enlarge(this.#state.length * 2);
      this.#everUsed += 1;
    }
    this.#state[group] = state;
    this.count[group] = 0;
    this.#live[group] = 0;
    this.busy[group] = 0;
    this.#degraded[group] = 0;
    this.accumulator[group] = NONE;
    this.next[group] = NONE;
    this.previous[group] = NONE;
    this.#groups += 1;
    return group;
  }

  setState(group: number, state: number): void {
    this.#unprotected -= this.#exposed(group);
    this.#state[group] = state;
    this.#unprotected += this.#exposed(group);
  }

  setDegraded(group: number, degraded: boolean): void {
    this.#unprotected -= this.#exposed(group);
    this.#degraded[group] = degraded ? 1 : 0;
    this.#unprotected += this.#exposed(group);
  }

  /** Live members that nothing protects, or not in full. */
  #exposed(group: number): number {
    return this.#isExposed(group) ? this.#live[group]! : 0;
  }

  #isExposed(group: number): boolean {
    const state = this.#state[group];
    if (state === GroupState.PROTECTED) return this.#degraded[group] === 1;
    return state === GroupState.BARE || state === GroupState.PARTING;
  }

  #changeLive(group: number, by: number): void {
    this.#live[group]! += by;
    this.#liveMembers += by;
    if (this.#isExposed(group)) this.#unprotected += by;
  }

  /** Adds a page; an `alive` one is what its slot means, and the slot has no other such. */
  add(group: number, page: Readonly<MemberPage>, alive: boolean): number {
    invariant(this.count[group]! < this.stride, "a group has room for who joins");
    const member = this.last(group);
    this.count[group]! += 1;
    this.pageId[member] = page.pageId;
    this.slot[member] = page.slot;
    this.checksum[member] = page.checksum;
    this.holder[member] = page.holder;
    this.alive[member] = alive ? 1 : 0;
    this.seen(member);
    if (alive) {
      invariant(this.liveOf(page.slot) === NONE, "a slot has one live member at most");
      this.#changeLive(group, 1);
      this.#ofSlot[page.slot] = member + 1;
    } else this.#addDead(member);
    return member;
  }

  #addDead(member: number): void {
    this.#deadMembers += 1;
    this.#dead.add(member);
  }

  /** The member's slot means it no longer. */
  kill(member: number): void {
    invariant(this.alive[member] === 1, "a member dies once");
    this.alive[member] = 0;
    this.#changeLive(this.groupOf(member), -1);
    this.#ofSlot[this.slot[member]!] = 0;
    this.#addDead(member);
  }

  /** Takes a member out of its group; the group's last member takes its place. */
  remove(member: number): void {
    const group = this.groupOf(member);
    if (this.alive[member] === 1) {
      this.#changeLive(group, -1);
      this.#ofSlot[this.slot[member]!] = 0;
    } else {
      this.#deadMembers -= 1;
      this.#dead.remove(member);
    }
    const last = this.last(group) - 1;
    this.count[group]! -= 1;
    if (last !== member) this.#move(last, member);
  }

  /** The member leaves its group for another one. */
  transfer(member: number, group: number): void {
    const page = this.#transferred;
    page.pageId = this.pageId[member]!;
    page.slot = this.slot[member]!;
    page.checksum = this.checksum[member]!;
    page.holder = this.holder[member]!;
    const isAlive = this.alive[member] === 1;
    const seen = this.#seen[member]!;
    if (!this.isSeen(member)) this.strayed[page.holder]! += 1;
    this.remove(member);
    this.#seen[this.add(group, page, isAlive)] = seen;
  }

  #move(from: number, to: number): void {
    this.pageId[to] = this.pageId[from]!;
    this.slot[to] = this.slot[from]!;
    this.checksum[to] = this.checksum[from]!;
    this.holder[to] = this.holder[from]!;
    this.alive[to] = this.alive[from]!;
    this.#seen[to] = this.#seen[from]!;
    if (this.alive[from] === 1) this.#ofSlot[this.slot[from]!] = to + 1;
    else this.#dead.move(from, to);
  }

  /** Frees a group with whatever members it still has. */
  free(group: number): void {
    invariant(
      this.#state[group] !== GroupState.FREE && this.busy[group] === 0,
      "an idle group is freed, once",
    );
    while (this.count[group]! > 0) this.remove(this.last(group) - 1);
    this.#state[group] = GroupState.FREE;
    this.next[group] = this.#freeFirst;
    this.#freeFirst = group;
    this.#groups -= 1;
  }

  #enlarge(groups: number): void {
    const members = groups * this.stride;
    this.#state = enlarged(this.#state, new Uint8Array(groups));
    this.count = enlarged(this.count, new Uint8Array(groups));
    this.#live = enlarged(this.#live, new Uint8Array(groups));
    this.busy = enlarged(this.busy, new Uint8Array(groups));
    this.#degraded = enlarged(this.#degraded, new Uint8Array(groups));
    this.parityHolder = enlarged(this.parityHolder, new Uint16Array(groups));
    this.parityId = enlarged(this.parityId, new Float64Array(groups));
    this.parityChecksum = enlarged(this.parityChecksum, new Uint32Array(groups));
    this.accumulator = enlarged(this.accumulator, new Int32Array(groups));
    this.#seenParity = enlarged(this.#seenParity, new Uint8Array(groups));
    this.next = enlarged(this.next, new Int32Array(groups));
    this.previous = enlarged(this.previous, new Int32Array(groups));
    this.pageId = enlarged(this.pageId, new Float64Array(members));
    this.slot = enlarged(this.slot, new Int32Array(members));
    this.checksum = enlarged(this.checksum, new Uint32Array(members));
    this.holder = enlarged(this.holder, new Uint16Array(members));
    this.alive = enlarged(this.alive, new Uint8Array(members));
    this.#seen = enlarged(this.#seen, new Uint8Array(members));
    this.#dead.grow(members);
  }
}

function enlarged<T extends { set(from: ArrayLike<number>): void; length: number }>(from: T, to: T): T {
  to.set(from as unknown as ArrayLike<number>);
  return to;
}
