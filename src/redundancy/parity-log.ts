import type { Holder } from "../placement/holder.ts";
import { ClosingLanes, type Lane } from "./closing-lanes.ts";
import { GroupState, type GroupTable, type MemberPage, NO_PAGE, NONE } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";

/** Positions of groups that are open, or were opened after the oldest that is. */
const RING = 4096;

/** Parity pages wait for company: each message wakes a process, which costs more than what it carries. */
const HELD_BACK = 16;
const HELD_BACK_MS = 5;

/** Part of the accumulators that copies which nobody takes may keep, where their pages are held elsewhere. */
const STUCK_SHARE = 0.25;

/** Positions along the ring that count as a lead. */
const LEAD_MAX = 32;

/** Writes wait for parity servers no longer than so. */
const PARITY_PATIENCE_MS = 100;

export interface ParityLogOptions {
  groups: GroupTable;
  port: RedundancyPort;
  /** Members that a group is to have. */
  groupSize: number;
  /** True: parity goes to memory servers (a group's only member is copied), false: to parity servers. */
  mirror: boolean;
  /** A group's parity is held, or cannot be sent for now. */
  settled: (group: number) => void;
  /** The group has no live member left. */
  drop: (group: number) => void;
  /** True if the page of a group of one is where it should be, as far as is known. */
  isHeld: (group: number) => boolean;
}

/**
 * The groups that pages join as they are acknowledged (parity logging).
 *
 *     ring:  oldest open … | g | - | g | g | … newest        cursor of a holder: it is in every open group before
 *
 * Each holder goes along the ring by itself: its next page joins the next open group without it. What was
 * acknowledged is protected from then on: by the accumulator, until the parity page is held.
 */
export class ParityLog {
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  readonly #options: ParityLogOptions;
  readonly #openMax: number;
  readonly #ring = new Int32Array(RING).fill(NONE);
  readonly #cursors: number[] = [];
  readonly #groupOf: Int32Array;
  /** 1: what the accumulator has is on its way. */
  readonly #sent: Uint8Array;
  /** When what each accumulator has began to wait for somebody to take it. */
  readonly #waitsMs: Float64Array;
  readonly #lanes: ClosingLanes;
  /** Groups to be sent that came since all that can be was. */
  #fresh = 0;
  /** A group in a queue has died. */
  #someDead = false;
  #head = 0;
  #tail = 0;
  #open = 0;
  #epoch = 0;
  readonly #page: MemberPage = { pageId: 0, slot: 0, checksum: 0, holder: 0 };
  #closingGroup = NONE;
  #nowMs = 0;
  /** When the first of the fresh ones came. */
  #firstToSendMs = 0;
  /** Somebody waits for what is to be sent. */
  #hurry = false;
  readonly #heldBack: number;
  /** When parity was acknowledged last. */
  #heldMs = 0;
  readonly #takesCopy = (holder: Holder): boolean =>
    !this.#groups.hasHolder(this.#closingGroup, holder.index) && this.#port.takesPages(holder);
  /** One that does not answer does not get all accumulators while there are others. */
  readonly #takesParity = (holder: Holder): boolean =>
    this.#port.takesPages(holder) &&
    (this.#port.table.parityUpCount === 1 || holder.unackedPages * 4 < this.#port.accumulators);

  constructor(options: ParityLogOptions) {
    this.#options = options;
    this.#groups = options.groups;
    this.#port = options.port;
    this.#lanes = new ClosingLanes(options.groups, options.port.table, options.mirror);
    this.#openMax = Math.min(RING / 2, Math.floor(options.port.accumulators / 2));
    this.#heldBack = Math.min(HELD_BACK, options.port.accumulators / 16);
    this.#sent = new Uint8Array(options.port.accumulators);
    this.#waitsMs = new Float64Array(options.port.accumulators);
    this.#groupOf = new Int32Array(options.port.accumulators).fill(NONE);
  }

  /**
   * True while accumulators are left for what is on its way. Where nobody takes parity, or takes it in time, they do
   * not count: pages that find none stay unprotected for now. Those that are taken are kept, since they may be all
   * that is left of a page.
   */
  get hasRoom(): boolean {
    const { accumulators, accumulatorsLeft } = this.#port;
    if (accumulatorsLeft * 4 > accumulators) return true;
    return this.#nobodyToSendTo || this.#nowMs - this.#heldMs > PARITY_PATIENCE_MS;
  }

  get #nobodyToSendTo(): boolean {
    const { table } = this.#port;
    return this.#options.mirror ? table.upCount < 2 : !table.someParityHasRoom;
  }

  /** True if nobody has room for the parity of the lane's groups. */
  #nobodyTakes(lane: Lane): boolean {
    const { table } = this.#port;
    return this.#options.mirror ? !table.someHasRoomBesides(lane.holder) : !table.someParityHasRoom;
  }

  /** Live pages of closing groups whose XOR is with the client alone and has to stay there, or may be needed now. */
  get exposedPages(): number {
    let pages = 0;
    for (const group of this.#groupOf) {
      if (group === NONE || this.#groups.state[group] !== GroupState.CLOSING) continue;
      if (this.#isStuck(group) || this.#missesServer(group)) pages += this.#groups.live[group]!;
    }
    return pages;
  }

  /** True if the closing group waits for somebody to take its parity, and nobody does, or not that of all that wait. */
  #isStuck(group: number): boolean {
    if (this.#sent[this.#groups.accumulator[group]!] === 1) return false;
    const lane = this.#lanes.of(group);
    const isShort = !this.#options.mirror && lane.queue.length > this.#port.table.parityRoom;
    return isShort || this.#nobodyTakes(lane);
  }

  /** True if the server of one of the group's pages is away. */
  #missesServer(group: number): boolean {
    for (let m = this.#groups.first(group); m < this.#groups.last(group); m += 1)
      if (!this.#port.isLinked(this.#groups.holder[m]!)) return true;
    return false;
  }

  /**
   * How far the holder is along the ring, and how many pages are on their way to it. One that comes (back) is behind
   * all others, and need not make up for that with all that is written until its first answer.
   */
  leadOf(holder: Holder): number {
    const along = (this.#cursors[holder.index] ?? 0) - this.#head;
    return Math.min(Math.max(0, along), LEAD_MAX) + holder.unackedPages;
  }

  /** Members that a group can have now. */
  get target(): number {
    return Math.max(1, Math.min(this.#options.groupSize, this.#port.table.upCount));
  }

  /** The page in `frame` joins a group; false if there is none for it. */
  join(slot: number, frame: number, pageId: number, checksum: number, holder: Holder): boolean {
    const group = this.#openFor(holder.index);
    if (group === NONE) return false;
    const groups = this.#groups;
    this.#port.accumulate(groups.accumulator[group]!, frame, groups.count[group] === 0);
    this.#page.pageId = pageId;
    this.#page.slot = slot;
    this.#page.checksum = checksum;
    this.#page.holder = holder.index;
    groups.add(group, this.#page, true);
    if (groups.count[group]! >= this.target) this.#finish(group);
    return true;
  }

  #openFor(holder: number): number {
    let at = Math.max(this.#cursors[holder] ?? 0, this.#head);
    while (at < this.#tail) {
      const group = this.#ring[at % RING]!;
      at += 1;
      if (group === NONE || this.#groups.hasHolder(group, holder)) continue;
      this.#cursors[holder] = at;
      return group;
    }
    const made = this.#openOne();
    this.#cursors[holder] = this.#tail;
    return made;
  }

  #openOne(): number {
    if (this.#open >= this.#openMax || this.#tail - this.#head >= RING)
      this.#finish(this.#ring[this.#head % RING]!);
    const accumulator = this.#port.takeAccumulator();
    if (accumulator === NONE) return NONE;
    const group = this.#groups.make(GroupState.OPEN);
    this.#groups.accumulator[group] = accumulator;
    this.#groupOf[accumulator] = group;
    // An open group is in no list: its links are free to say where it is in the ring.
    this.#groups.next[group] = this.#tail % RING;
    this.#ring[this.#tail % RING] = group;
    this.#tail += 1;
    this.#open += 1;
    return group;
  }

  /** No more members join: the parity page is to be sent, soon. */
  close(group: number): void {
    this.#hurry = true;
    this.#finish(group);
  }

  /** Somebody waits for a group that is closing. */
  hurry(): void {
    this.#hurry = true;
  }

  #finish(group: number): void {
    this.#leaveRing(group);
    this.#toBeSent(group);
  }

  /** A group that has no parity (any more) gets one: what it is to be is in the accumulator. */
  adopt(group: number, accumulator: number): void {
    this.#groups.accumulator[group] = accumulator;
    this.#groupOf[accumulator] = group;
    this.#toBeSent(group);
  }

  #toBeSent(group: number): void {
    this.#groups.setState(group, GroupState.CLOSING);
    // Until it is sent it means no page, also none of a group that had this number before.
    this.#groups.parityId[group] = NO_PAGE;
    this.#lanes.enter(group, this.#epoch);
    this.#waitsMs[this.#groups.accumulator[group]!] = this.#nowMs;
    if (this.#fresh === 0) this.#firstToSendMs = this.#nowMs;
    this.#fresh += 1;
  }

  #leaveRing(group: number): void {
    this.#ring[this.#groups.next[group]!] = NONE;
    this.#open -= 1;
    while (this.#head < this.#tail && this.#ring[this.#head % RING] === NONE) this.#head += 1;
  }

  /** Closes all open groups, or those with a member on the holder, and those that wait for nobody since it went. */
  closeAll(holder = NONE): void {
    this.#hurry = true;
    for (let at = this.#head; at < this.#tail; at += 1) {
      const group = this.#ring[at % RING]!;
      if (group === NONE) continue;
      const isWhole = this.#groups.count[group]! >= this.target;
      if (holder === NONE || isWhole || this.#groups.hasHolder(group, holder)) this.close(group);
    }
  }

  /** An open group has no live member left. */
  abandon(group: number): void {
    this.#leaveRing(group);
    this.#release(group);
  }

  /** A group that is closing has no live member left. */
  closingDied(): void {
    this.#someDead = true;
  }

  #release(group: number): void {
    const accumulator = this.#groups.accumulator[group]!;
    this.#groupOf[accumulator] = NONE;
    this.#sent[accumulator] = 0;
    this.#groups.accumulator[group] = NONE;
    this.#port.giveAccumulator(accumulator);
  }

  /**
   * All groups that are open or closing now are waited for: true once none of them is closing any more, but for those
   * that nobody takes.
   */
  barrier(): () => boolean {
    this.closeAll();
    const epoch = this.#epoch;
    this.#epoch = (this.#epoch + 1) & 0x7fff_ffff;
    return () => !this.#anyClosingUpTo(epoch);
  }

  #anyClosingUpTo(epoch: number): boolean {
    for (const lane of this.#lanes.all) {
      if (!this.#lanes.isClosingUpTo(lane, epoch)) continue;
      if (lane.closing > lane.queue.length || !this.#nobodyTakes(lane)) return true;
    }
    return false;
  }

  /** Sends the parity pages of closed groups. */
  flush(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#someDead) this.#sweep();
    this.#noteRoom();
    const waits = this.#fresh < this.#heldBack && nowMs - this.#firstToSendMs < HELD_BACK_MS;
    if (waits && !this.#hurry) return;
    let stuck = 0;
    this.#hurry = false;
    this.#fresh = 0;
    for (const lane of this.#lanes.all) {
      if (lane.queue.length === 0) continue;
      this.#lanes.sortOut(lane);
      const isStuck = this.#nobodyTakes(lane);
      lane.stuckMs = isStuck ? Math.min(lane.stuckMs, nowMs) : Number.POSITIVE_INFINITY;
      if (isStuck) stuck += lane.queue.length;
      else if (!this.#sendAll(lane)) this.#hurry = true;
    }
    if (this.#options.mirror) this.#shed(stuck - this.#port.accumulators * STUCK_SHARE);
  }

  /** Where somebody takes the parity of a lane now, its pages count as protected, if only until they are sent. */
  #noteRoom(): void {
    const never = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.all)
      if (lane.stuckMs < never && !this.#nobodyTakes(lane)) lane.stuckMs = never;
  }

  /** Sends what it can, the oldest first; true if that is all. */
  #sendAll(lane: Lane): boolean {
    let sent = 0;
    while (sent < lane.queue.length && this.#send(lane.queue[sent]!)) sent += 1;
    lane.queue.splice(0, sent);
    return lane.queue.length === 0;
  }

  /** Drops groups in queues that nothing is alive in. */
  #sweep(): void {
    this.#someDead = false;
    const { live } = this.#groups;
    for (const lane of this.#lanes.all) {
      const dead = lane.queue.filter((group) => live[group] === 0);
      if (dead.length > 0) lane.queue = lane.queue.filter((group) => live[group]! > 0);
      for (const group of dead) {
        this.#unsettle(group);
        this.#options.drop(group);
      }
    }
  }

  /**
   * So many accumulators are given back, those of the newest copies that nobody takes: their pages stay without a copy
   * for now. Without accumulators no other page would get one either, if there is another server that has some.
   */
  #shed(count: number): void {
    let left = this.#port.table.upCount < 2 ? 0 : count;
    for (const lane of this.#lanes.all) {
      if (left <= 0) return;
      if (!this.#nobodyTakes(lane)) continue;
      for (let at = lane.queue.length - 1; left > 0 && at >= 0; at -= 1) {
        const group = lane.queue[at]!;
        // Where the page itself is out of reach, or not as it should be, the accumulator may be all that is left of it.
        if (!this.#options.isHeld(group) || !this.#stoodSince(group, lane)) continue;
        lane.queue.splice(at, 1);
        left -= 1;
        this.#unsettle(group);
        this.#groups.setState(group, GroupState.BARE);
        this.#options.settled(group);
      }
    }
  }

  /**
   * True if the page's server is known to have stood while its page counted as unprotected already: one that was gone
   * by then, unnoticed, was lost when the accumulator made up for it.
   */
  #stoodSince(group: number, { holder, stuckMs }: Lane): boolean {
    const { stoodMs } = this.#port.table.at(holder);
    return stoodMs > Math.max(stuckMs, this.#waitsMs[this.#groups.accumulator[group]!]!);
  }

  #send(group: number): boolean {
    const { table } = this.#port;
    const groups = this.#groups;
    this.#closingGroup = group;
    const holder = this.#options.mirror
      ? table.choose(this.#takesCopy)
      : table.chooseParity(this.#takesParity);
    if (holder === undefined) return false;
    const id = this.#port.newPageId();
    groups.parityHolder[group] = holder.index;
    groups.parityId[group] = id;
    const slot = this.#options.mirror ? groups.slot[groups.first(group)]! : group;
    const accumulator = groups.accumulator[group]!;
    const isSent = this.#port.putParity(accumulator, holder, id, slot, group);
    this.#sent[accumulator] = isSent ? 1 : 0;
    return isSent;
  }

  /** The group is closing no longer. */
  #unsettle(group: number): void {
    this.#lanes.leave(group);
    this.#release(group);
  }

  /** The group's parity page is held by the holder that it was sent to. */
  held(accumulator: number): void {
    this.#heldMs = this.#nowMs;
    const group = this.#groupOf[accumulator]!;
    this.#unsettle(group);
    this.#groups.setState(group, GroupState.PROTECTED);
    this.#options.settled(group);
  }

  /** The parity page was refused, or its link ended: it is sent again, elsewhere or later. */
  returned(accumulator: number): void {
    const group = this.#groupOf[accumulator]!;
    this.#sent[accumulator] = 0;
    this.#waitsMs[accumulator] = this.#nowMs;
    // Where it may be held all the same, it is in vain: it is sent again under another id.
    this.#groups.parityId[group] = NO_PAGE;
    this.#hurry = true;
    this.#lanes.of(group).queue.push(group);
    if (this.#groups.live[group] === 0) this.#someDead = true;
  }
}
