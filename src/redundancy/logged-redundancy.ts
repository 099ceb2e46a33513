import type { Holder } from "../placement/holder.ts";
import { GroupState, GroupTable, NONE } from "./group-table.ts";
import { Mismatches } from "./mismatches.ts";
import { Operation, OperationKind } from "./operation.ts";
import { OperationPlans } from "./operation-plans.ts";
import { ParityLog } from "./parity-log.ts";
import {
  type PageFigures,
  type RecoveryFigures,
  type Redundancy,
  type RedundancyPort,
  Rescue,
} from "./redundancy.ts";
import { Reprotection } from "./reprotection.ts";
import { roomNeeded } from "./room-needed.ts";

export interface LoggedRedundancyOptions {
  port: RedundancyPort;
  slots: number;
  mode: "mirror" | "parity";
  groupSize: number;
  operationsMax: number;
  lostAfterMs: number;
  retryMs: number;
  pagesPerSecond: number;
  reclaimShare: number;
}

/**
 * Parity logging (Markatos and Dramitinos 1996; Newhall et al. 2008): pages join groups as they are acknowledged, a
 * group's XOR is held by a parity server. A mirror is the same with groups of one, whose parity, a copy, is held by
 * another memory server.
 */
export class LoggedRedundancy implements Redundancy {
  readonly mode: "mirror" | "parity";
  readonly groups: GroupTable;
  readonly leadOf: ((holder: Holder) => number) | undefined;
  readonly #port: RedundancyPort;
  readonly #log: ParityLog;
  readonly #reprotection: Reprotection;
  readonly #mismatches: Mismatches;
  readonly #plans: OperationPlans;
  readonly #scratch = new Operation(NONE);
  #worst = 0;

  constructor(options: LoggedRedundancyOptions) {
    const { port, mode } = options;
    this.mode = mode;
    this.#port = port;
    const groupSize = mode === "mirror" ? 1 : options.groupSize;
    const room = roomNeeded(mode, options.slots, groupSize);
    // As many as there are when the device is full, dead pages included; and some that are not full.
    const groupsMax = mode === "mirror" ? options.slots : room.parity;
    this.groups = new GroupTable(options.slots, groupSize, Math.ceil(groupsMax * 1.0625));
    this.#plans = new OperationPlans(this.groups);
    this.#reprotection = new Reprotection({
      ...options,
      groups: this.groups,
      mirror: mode === "mirror",
      close: (group, accumulator) => this.#log.adopt(group, accumulator),
      closeOpen: (group) => this.#log.close(group),
      isWrong: (group) => this.#mismatches.has(group),
    });
    this.#mismatches = new Mismatches({
      ...{ groups: this.groups, port },
      rebuildMember: (member) => this.#reprotection.rebuildMember(member),
      renew: (group) => this.#reprotection.renew(group),
    });
    this.#log = new ParityLog({
      groups: this.groups,
      port,
      groupSize,
      mirror: mode === "mirror",
      settled: (group) => this.#settled(group),
      drop: (group) => this.#reprotection.drop(group),
      isHeld: (group) => this.#reprotection.isHeld(group),
    });
    this.leadOf = mode === "parity" ? (holder) => this.#log.leadOf(holder) : undefined;
  }

  get hasRoom(): boolean {
    return this.#log.hasRoom;
  }

  get isBusy(): boolean {
    return this.#reprotection.underWay > 0;
  }

  #settled(group: number): void {
    this.#reprotection.settled(group);
    // Reads of a page whose server went while its group was open could not be helped before.
    if (this.groups.degraded[group] === 1) this.#port.readAgain();
  }

  pageHeld(slot: number, frame: number, pageId: number, checksum: number, holder: Holder): void {
    holder.references += 1;
    if (this.#log.join(slot, frame, pageId, checksum, holder)) return;
    const group = this.groups.make(GroupState.BARE);
    this.groups.add(group, { slot, pageId, checksum, holder: holder.index }, true);
    this.#reprotection.classify(group);
  }

  pageDead(slot: number): void {
    const member = this.groups.liveOf(slot);
    const group = this.groups.groupOf(member);
    this.groups.kill(member);
    const state = this.groups.state[group];
    if (state === GroupState.OPEN) {
      if (this.groups.live[group]! > 0) return;
      this.#log.abandon(group);
      this.#reprotection.drop(group);
    } else if (state !== GroupState.CLOSING) this.#reprotection.memberDied(group);
    else if (this.groups.live[group] === 0) this.#log.closingDied();
  }

  wants(holder: number, slot: number, pageId: number): boolean {
    const { groups } = this;
    if (this.#port.table.at(holder).role === "parity") return this.#isParityOf(slot, holder, pageId);
    if (slot >= groups.slots) return false;
    const member = groups.find(slot, pageId);
    if (member !== NONE && groups.holder[member] === holder) {
      groups.seen(member);
      return true;
    }
    return this.#reprotection.expects(holder, pageId) || this.#isCopyOfLive(slot, holder, pageId);
  }

  /** A listed page: true if it is the group's parity page, held or on its way. */
  #isParityOf(group: number, holder: number, pageId: number): boolean {
    if (group >= this.groups.end) return false;
    const { state, parityHolder, parityId } = this.groups;
    const has =
      state[group] === GroupState.PROTECTED ||
      state[group] === GroupState.CLOSING ||
      state[group] === GroupState.PARTING ||
      state[group] === GroupState.COMPOSING;
    if (!has || parityHolder[group] !== holder || parityId[group] !== pageId) return false;
    this.groups.paritySeen(group);
    return true;
  }

  /** True if the page is the copy of what its slot means; one of a dead page makes up for nothing. */
  #isCopyOfLive(slot: number, holder: number, pageId: number): boolean {
    if (this.mode !== "mirror") return false;
    const member = this.groups.liveOf(slot);
    return member !== NONE && this.#isParityOf(this.groups.groupOf(member), holder, pageId);
  }

  parityHeld(accumulator: number): void {
    this.#log.held(accumulator);
  }

  parityReturned(accumulator: number): void {
    this.#log.returned(accumulator);
  }

  filled(accumulator: number, isRead: boolean): void {
    this.#reprotection.copies.filled(accumulator, isRead);
  }

  operationDone(operation: number, status: number, checksum: number): void {
    this.#reprotection.operationDone(operation, status, checksum);
    this.#port.readAgain();
  }

  rescue(slot: number, frame: number): Rescue {
    const { groups } = this;
    const member = groups.liveOf(slot);
    const group = groups.groupOf(member);
    const isDead = this.#port.table.at(groups.holder[member]!).state === "dead";
    switch (groups.state[group]) {
      case GroupState.PROTECTED:
        return this.mode === "mirror"
          ? this.#readCopy(member, frame, isDead)
          : this.#recover(member, frame, isDead);
      case GroupState.BARE:
        return isDead ? Rescue.NEVER : Rescue.LATER;
      case GroupState.OPEN:
        this.#log.close(group);
        return this.#fromAccumulator(member, frame, isDead);
      case GroupState.CLOSING:
        this.#log.hurry();
        return this.#fromAccumulator(member, frame, isDead);
      default:
        return Rescue.LATER;
    }
  }

  /** The client has the XOR of the group: of a single page, that page. */
  #fromAccumulator(member: number, frame: number, isDead: boolean): Rescue {
    const { accumulator, count } = this.groups;
    const group = this.groups.groupOf(member);
    if (count[group] === 1)
      return this.#port.readAccumulator(accumulator[group]!, frame) ? Rescue.DONE : Rescue.LATER;
    const others = this.#othersOf(member);
    if (isDead && others === "dead") return Rescue.NEVER;
    return others === "linked" && this.#port.makePage(member, frame) ? Rescue.UNDER_WAY : Rescue.LATER;
  }

  /** How the servers of the group's other pages stand: the worst of them. */
  #othersOf(member: number): "linked" | "away" | "dead" {
    const { groups } = this;
    const group = groups.groupOf(member);
    let worst: "linked" | "away" = "linked";
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (m === member) continue;
      const holder = this.#port.table.at(groups.holder[m]!);
      if (holder.state === "dead") return "dead";
      if (!this.#port.isLinked(holder.index)) worst = "away";
    }
    return worst;
  }

  #readCopy(member: number, frame: number, isDead: boolean): Rescue {
    const { groups } = this;
    const port = this.#port;
    const group = groups.groupOf(member);
    const copy = port.table.at(groups.parityHolder[group]!);
    if (!port.isLinked(copy.index)) return isDead && copy.state === "dead" ? Rescue.NEVER : Rescue.LATER;
    // A silent server is asked only for what no other can give.
    if (port.isSilent(copy) && port.isLinked(groups.holder[member]!)) return Rescue.LATER;
    port.readCopy(copy.index, frame, groups.parityId[group]!, groups.parityChecksum[group]!);
    return Rescue.UNDER_WAY;
  }

  #recover(member: number, frame: number, isDead: boolean): Rescue {
    const { groups } = this;
    const group = groups.groupOf(member);
    const server = this.#port.table.at(groups.parityHolder[group]!);
    const others = this.#othersOf(member);
    if (isDead && (server.state === "dead" || others === "dead")) return Rescue.NEVER;
    const linked = others === "linked" && this.#port.isLinked(server.index);
    // Work in the background may be slow to be answered: readers must not ask for thousands of pages past it.
    if (!linked || !this.#port.takesPages(server)) return Rescue.LATER;
    if (this.#reprotection.reach.isOutFor(server, group, member))
      return this.#port.makePage(member, frame) ? Rescue.UNDER_WAY : Rescue.LATER;
    this.#scratch.reset(OperationKind.REBUILD);
    this.#plans.describeLost(this.#scratch, member);
    this.#port.recover(server, frame, this.#scratch);
    return Rescue.UNDER_WAY;
  }

  hasOthers(slot: number): boolean {
    const { groups } = this;
    const member = groups.liveOf(slot);
    const group = groups.groupOf(member);
    if (this.#reprotection.doubts.isSureOf(member)) return false;
    switch (groups.state[group]) {
      case GroupState.BARE:
        return false;
      case GroupState.OPEN:
      case GroupState.CLOSING:
        return this.#othersOf(member) !== "dead";
      case GroupState.PROTECTED: {
        const parity = this.#port.table.at(groups.parityHolder[group]!);
        return parity.state !== "dead" && this.#othersOf(member) !== "dead";
      }
      default:
        return true;
    }
  }

  /** The slot's page is not right where it should be: it is to be made anew elsewhere. */
  pageWrong(slot: number, pageId: number): void {
    const member = this.groups.liveOf(slot);
    if (member === NONE) return;
    if (this.mode === "mirror") this.#reprotection.copies.wrong(this.groups.groupOf(member), pageId);
    else this.#mismatches.addRead(member);
  }

  pageMissing(slot: number, pageId: number, holder: Holder): boolean {
    const { groups } = this;
    const { vanished } = this.#reprotection;
    const member = groups.liveOf(slot);
    if (this.isCopy(slot, pageId, holder)) return vanished.parity(groups.groupOf(member));
    const named = groups.find(slot, pageId);
    return named !== NONE && (groups.holder[named] !== holder.index || vanished.member(named));
  }

  isCopy(slot: number, pageId: number, holder: Holder): boolean {
    const { groups } = this;
    const member = groups.liveOf(slot);
    if (this.mode !== "mirror" || member === NONE) return false;
    const group = groups.groupOf(member);
    const isHeld = groups.state[group] === GroupState.PROTECTED;
    return isHeld && groups.parityId[group] === pageId && groups.parityHolder[group] === holder.index;
  }

  listing(holder: Holder, isComplete: boolean): void {
    const { rollCall } = this.#reprotection;
    if (isComplete) rollCall.end(holder);
    else rollCall.begin(holder);
  }

  mismatchFound(holder: Holder, group: number, groupId: number, pageId: number): void {
    this.#mismatches.add(holder, group, groupId, pageId);
  }

  holderUp(holder: Holder): void {
    this.#reprotection.holderUp(holder);
  }

  holderAway(holder: Holder): void {
    this.#log.closeAll(holder.index);
    this.#reprotection.rollCall.cancel(holder);
    this.#reprotection.holderGone(holder);
  }

  holderDead(holder: Holder): void {
    this.holderAway(holder);
  }

  barrier(): () => boolean {
    return this.#log.barrier();
  }

  flush(nowMs: number): void {
    this.#log.flush(nowMs);
    this.#reprotection.work(nowMs);
  }

  tick(nowMs: number): void {
    this.#reprotection.tick();
    this.flush(nowMs);
    this.#mismatches.work();
    const unprotected = this.#unprotected;
    this.#worst = unprotected === 0 ? 0 : Math.max(this.#worst, unprotected);
  }

  figures(): PageFigures {
    return {
      live: this.groups.liveMembers,
      dead: this.groups.deadMembers,
      unprotected: this.#unprotected,
    };
  }

  /** While it is not known of all groups how they stand, some page may be: not 0 then. */
  get #unprotected(): number {
    const { review, rollCall, lastResort } = this.#reprotection;
    if (lastResort.exposesAll) return this.groups.liveMembers;
    const known = this.groups.unprotected + this.#log.exposedPages + this.#mismatches.unprotected;
    return review.isUnderWay || rollCall.isUnsure ? Math.max(1, known) : known;
  }

  recovery(): RecoveryFigures {
    const unprotected = this.#unprotected;
    if (unprotected === 0) return { state: "idle", done: 0, total: 0 };
    const total = Math.max(this.#worst, unprotected);
    const state = this.#reprotection.bareGroups > 0 ? "reprotecting" : "rebuilding";
    return { state, done: total - unprotected, total };
  }
}
