import { ResultStatus } from "../../proto/peer/index.ts";
import { limits } from "../base/limits.ts";
import type { Holder } from "../placement/holder.ts";
import { Absences } from "./absences.ts";
import { Doubts } from "./doubts.ts";
import { GivingUp } from "./giving-up.ts";
import { GroupDisposal } from "./group-disposal.ts";
import { BARE, BY_LIVE, DEGRADED, GroupLists } from "./group-lists.ts";
import { GroupReview } from "./group-review.ts";
import { GroupState, type GroupTable, NONE } from "./group-table.ts";
import { LastResort } from "./last-resort.ts";
import { MirrorCopies } from "./mirror-copies.ts";
import { type Operation, OperationKind, OperationPool } from "./operation.ts";
import { OperationPlans } from "./operation-plans.ts";
import { Pace } from "./pace.ts";
import { Parting } from "./parting.ts";
import { Pause } from "./pause.ts";
import { Reach } from "./reach.ts";
import { LOOKED_AT, Reclaiming } from "./reclaiming.ts";
import type { RedundancyPort } from "./redundancy.ts";
import type { ReprotectionOptions } from "./reprotection-options.ts";
import { RollCall } from "./roll-call.ts";
import { Sites } from "./sites.ts";
import { Standing } from "./standing.ts";
import { Vanished } from "./vanished.ts";

/**
 * Brings every group back to full protection, and dead members back as free frames, by operations of the parity
 * servers:
 *
 *     DEGRADED   one member's server lost       -> REBUILD it elsewhere (a server of the group: both become BARE)
 *                only dead members, or parity   -> BARE
 *     BARE       COMPOSE a group from the members' pages, together with other bare groups while they fit
 *     BY_LIVE    too many dead: COMPOSE the live members of few groups into one, from old parity and dead pages
 *                (leave, merge) or from the live pages (join), whichever is less to fetch
 *
 * Nothing is changed in place: a new group replaces old ones when it is acknowledged, so that a lost or repeated
 * operation changes nothing.
 */
export class Reprotection {
  /** mirror: does the work instead. */
  readonly copies: MirrorCopies;
  readonly doubts: Doubts;
  readonly vanished: Vanished;
  readonly rollCall: RollCall;
  readonly lastResort: LastResort;
  readonly reach: Reach;
  /** While it is under way `classify` judges anew. */
  readonly review: GroupReview;
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  readonly #options: ReprotectionOptions;
  readonly #lists: GroupLists;
  readonly #standing: Standing;
  readonly #plans: OperationPlans;
  readonly #disposal: GroupDisposal;
  readonly #operations: OperationPool;
  readonly #absences: Absences;
  readonly #parting: Parting;
  readonly #givingUp: GivingUp;
  readonly #pace: Pace;
  readonly #reclaiming: Reclaiming;
  readonly #pause: Pause;
  /** Of what mends: after it has found no room, which reclaiming makes. */
  readonly #roomPause: Pause;
  readonly #sites: Sites;
  /** Steps that begin nothing left until the next tick, by list: a million groups may have but a parity to give up. */
  readonly #stepsLeft: number[] = [limits.groupStepsPerTick, limits.groupStepsPerTick];

  constructor(options: ReprotectionOptions) {
    this.#options = options;
    this.#groups = options.groups;
    this.#port = options.port;
    this.#standing = new Standing(options.groups, options.port);
    this.#lists = new GroupLists(options.groups);
    this.#plans = new OperationPlans(options.groups);
    this.#disposal = new GroupDisposal(options.groups, options.port, this.#lists);
    this.#operations = new OperationPool(options.operationsMax);
    this.#absences = new Absences(options.port.table, options.lostAfterMs);
    this.#pace = new Pace(options.pagesPerSecond);
    this.#pause = new Pause(options.retryMs);
    this.#roomPause = new Pause(options.retryMs);
    this.reach = new Reach(options.groups, options.port);
    this.#sites = new Sites(options.groups, options.port, this.reach);
    this.review = new GroupReview({
      groups: options.groups,
      look: (group) => options.groups.state[group] === GroupState.PROTECTED && this.classify(group),
      ...{ atOnce: limits.groupsReviewedAtOnce, atATime: limits.groupsReviewedPerTick },
    });
    const parts = {
      ...{ groups: options.groups, port: options.port, standing: this.#standing, disposal: this.#disposal },
      classify: (group: number) => this.classify(group),
      closeOpen: options.closeOpen,
    };
    this.#givingUp = new GivingUp(parts);
    this.#parting = new Parting(parts, this.#givingUp);
    this.vanished = new Vanished(parts);
    this.rollCall = new RollCall(parts, this.vanished, limits.groupsReviewedPerTick);
    this.doubts = new Doubts(parts, this.#parting, this.#givingUp, this.vanished);
    this.#reclaiming = new Reclaiming({
      ...{ groups: options.groups, port: options.port, lists: this.#lists, plans: this.#plans },
      ...{ operations: this.#operations, doubts: this.doubts, reclaimShare: options.reclaimShare },
      ...{ retryMs: options.retryMs, reach: this.reach, standing: this.#standing, parting: this.#parting },
      ...{ isWrong: options.isWrong, pace: this.#pace },
      isWhole: (group) => !this.review.isUnderWay || !this.#standing.isDegraded(group),
      newGroup: (server) => this.#newGroup(server),
      start: (operation, server) => this.#start(operation, server),
      begin: (operation, server) => this.#begin(operation, server),
    });
    this.lastResort = new LastResort({
      ...{ groups: options.groups, port: options.port, lists: this.#lists, absences: this.#absences },
      ...{ standing: this.#standing, givingUp: this.#givingUp, reclaiming: this.#reclaiming },
      isDoubted: (group) => this.doubts.knows(group) || options.isWrong(group),
    });
    this.copies = new MirrorCopies({
      ...{ groups: options.groups, port: options.port, disposal: this.#disposal },
      ...{ absences: this.#absences, standing: this.#standing, copiesMax: options.operationsMax },
      classify: (group) => this.classify(group),
      loseDead: (group) => this.#givingUp.lost(group),
      close: options.close,
    });
  }

  get underWay(): number {
    return this.#operations.underWay;
  }

  get bareGroups(): number {
    return this.#lists.length(BARE);
  }

  /** True if an operation under way may put this page on the holder. */
  expects(holder: number, pageId: number): boolean {
    return this.#operations.anyRebuilds(pageId, holder);
  }

  /** Puts the group where its state says; drops one that nothing is alive in. */
  classify(group: number): void {
    const { state, busy, live, degraded } = this.#groups;
    if (this.review.isUnderWay && state[group] === GroupState.PROTECTED) this.#judge(group);
    if (busy[group]! > 0 || (state[group] !== GroupState.PROTECTED && state[group] !== GroupState.BARE)) {
      this.#lists.put(group, NONE);
    } else if (live[group] === 0) this.drop(group);
    else if (state[group] === GroupState.BARE) this.#lists.put(group, BARE);
    else if (degraded[group] === 1) this.#lists.put(group, DEGRADED);
    else if (live[group]! < this.#groups.stride) this.#lists.put(group, BY_LIVE + live[group]!);
    else this.#lists.put(group, NONE);
  }

  /** A group's parity is held now, or it has none: finds out how it stands. */
  settled(group: number): void {
    const { state, parityHolder } = this.#groups;
    if (state[group] === GroupState.PROTECTED) {
      this.#port.table.at(parityHolder[group]!).references += 1;
      this.#groups.paritySeen(group);
    }
    this.#judge(group);
    if (state[group] === GroupState.BARE) this.#disposal.purge(group);
    this.classify(group);
  }

  /** mirror: true if the group's page is where it should be, and its server need not say so first. */
  isHeld(group: number): boolean {
    const member = this.#groups.first(group);
    const isThere = this.#port.isLinked(this.#groups.holder[member]!) && this.#groups.isSeen(member);
    return isThere && this.#standing.wrong.of(group) === NONE;
  }

  drop(group: number): void {
    this.doubts.forget(group);
    this.#disposal.drop(group);
  }

  /** A live member of a settled group died. */
  memberDied(group: number): void {
    if (this.#groups.busy[group]! > 0) return;
    if (this.#groups.state[group] === GroupState.BARE) this.#disposal.purge(group);
    this.classify(group);
  }

  // Servers that come and go

  holderUp(holder: Holder): void {
    if (!this.#absences.ended(holder)) return;
    this.rollCall.isBack(holder);
    this.review.begin();
  }

  /** Away or dead: whatever has something there is in danger. */
  holderGone(holder: Holder): void {
    this.#absences.began(holder);
    this.review.begin();
  }

  #judge(group: number): void {
    this.#groups.setDegraded(group, this.#standing.isDegraded(group));
  }

  // Work

  /** Time passes: as much may be looked at and given up as in any tick. */
  tick(): void {
    this.#stepsLeft.fill(limits.groupStepsPerTick);
    this.review.work();
    this.rollCall.work();
    this.#reclaiming.tick();
    this.lastResort.tick(this.#absences.nowMs);
  }

  /** Begins as many operations as may be under way. */
  work(nowMs: number): void {
    this.#absences.nowMs = nowMs;
    this.doubts.nowMs = nowMs;
    this.reach.nowMs = nowMs;
    this.#reclaiming.cutOff.nowMs = nowMs;
    if (this.#options.mirror) {
      this.#workOn(DEGRADED, (group) => this.copies.mend(group));
      this.#workOn(BARE, (group) => this.copies.copy(group));
      return;
    }
    if (this.#pause.isOn(nowMs)) return;
    this.#pace.passes(nowMs);
    if (!this.#roomPause.isOn(nowMs)) {
      this.#workOn(DEGRADED, (group) => this.#mend(group));
      this.#workOn(BARE, (group) => this.#protect(group));
    }
    this.#reclaiming.work();
  }

  #workOn(list: number, step: (group: number) => boolean): void {
    let idle = 0;
    while (idle < LOOKED_AT && idle < this.#lists.length(list)) {
      if (this.#operations.underWay >= this.#operations.size || this.#pace.isSpent) return;
      if (this.#stepsLeft[list] === 0) return;
      const group = this.#lists.head(list);
      if (!this.doubts.has(group) && step(group)) {
        // What has begun something is busy, and takes its turn among what may be under way.
        if (this.#groups.busy[group] === 0) this.#stepsLeft[list]! -= 1;
        continue;
      }
      if (this.#lists.of(group) === list) this.#lists.rotate(group);
      idle += 1;
    }
  }

  /** One step for a degraded group; false if there is nothing to do now. */
  #mend(group: number): boolean {
    const groups = this.#groups;
    let lost = NONE;
    let missing = 0;
    let dead = 0;
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      const holder = groups.holder[m]!;
      if (this.#port.isLinked(holder)) continue;
      missing += 1;
      if (this.#standing.isDead(holder)) dead += 1;
      if (!this.#absences.isLost(holder)) return false;
      if (groups.alive[m] === 1) lost = m;
    }
    const parity = groups.parityHolder[group]!;
    const hasParity = this.#port.isLinked(parity);
    const parityDead = this.#standing.isDead(parity);
    if (!hasParity && !this.#absences.isLost(parity)) return false;
    if (lost === NONE) {
      if (parityDead || dead > 0) {
        this.#givingUp.parity(group);
        return true;
      }
      return (missing > 0 || !hasParity) && this.#replace(group);
    }
    if (hasParity && missing === 1) return this.#rebuild(group, lost);
    if (dead < missing || !(hasParity || parityDead)) return false;
    this.#givingUp.parityAndLost(group);
    return true;
  }

  /** The member of a group whose page is to be made anew elsewhere. */
  rebuildMember(member: number): void {
    const group = this.#groups.groupOf(member);
    if (this.#options.mirror || !this.#mayBegin(group)) return;
    if (this.#standing.othersLinked(group, member)) this.#rebuild(group, member);
  }

  /** A group's parity page, or a dead one, is not what it should be: its live pages get a new group. */
  renew(group: number): void {
    if (this.#mayBegin(group)) this.#compose(group, NONE);
  }

  /** True if something may be begun now for a group that is held. */
  #mayBegin(group: number): boolean {
    const { state, busy } = this.#groups;
    if (state[group] !== GroupState.PROTECTED || busy[group]! > 0 || this.doubts.has(group)) return false;
    const { nowMs } = this.#absences;
    const isPaused = this.#pause.isOn(nowMs) || this.#roomPause.isOn(nowMs) || this.#pace.isSpent;
    return !isPaused && this.#operations.underWay < this.#operations.size;
  }

  #rebuild(group: number, member: number): boolean {
    const { table } = this.#port;
    const groups = this.#groups;
    const server = table.at(groups.parityHolder[group]!);
    if (!this.#port.takesPages(server) || this.reach.isOutFor(server, group, member)) return false;
    const target = this.#sites.target(group, server);
    if (target === undefined) return false;
    const operation = this.#operations.take(OperationKind.REBUILD)!;
    operation.from[0] = group;
    operation.fromCount = 1;
    operation.server = server.index;
    operation.target = target.index;
    operation.newPageId = this.#port.newPageId();
    this.#plans.describeLost(operation, member);
    return this.#begin(operation, server);
  }

  /** Mends what a loss has left: at a bounded rate. */
  #begin(operation: Operation, server: Holder): boolean {
    this.#pace.spend(operation.sourceCount);
    return this.#start(operation, server);
  }

  #start(operation: Operation, server: Holder): boolean {
    const groups = this.#groups;
    for (let i = 0; i < operation.fromCount; i += 1) {
      groups.busy[operation.from[i]!]! += 1;
      this.classify(operation.from[i]!);
    }
    if (operation.kind === OperationKind.REBUILD) {
      const target = this.#port.table.at(operation.target);
      target.unackedPages += 1;
      target.references += 1;
    } else server.unackedPages += 1;
    server.references += 1;
    if (this.#port.operate(server, operation)) return true;
    this.operationDone(operation.index, ResultStatus.UNREACHABLE, 0);
    return false;
  }

  /** A bare group, with others as far as they fit, gets a parity. */
  #protect(group: number): boolean {
    this.#givingUp.lost(group);
    this.classify(group);
    if (this.#groups.state[group] !== GroupState.BARE) return true;
    return this.#compose(group, this.#groups.next[group]!);
  }

  /**
   * Part of what a group's parity needs is out of reach, but may come back: its live members get a new group, and the
   * old one is kept until that is there. Until then it may be what makes up for the next loss.
   */
  #replace(group: number): boolean {
    return this.#compose(group, this.#lists.head(BARE));
  }

  /** A new group for the group's live members, from their pages, and for bare groups from this one on. */
  #compose(group: number, bare: number): boolean {
    const groups = this.#groups;
    if (!this.#standing.livesLinked(group)) return false;
    const server = this.#sites.parity(group);
    // Who does not reach all of its pages may reach some.
    if (server === undefined) return this.#sites.anyTakesParity && this.#parting.scatterBare(group);
    const operation = this.#newGroup(server);
    this.#plans.include(operation, group, true);
    // One in doubt is composed by itself.
    let other = this.doubts.knows(group) || !this.reach.isClearFor(server, group) ? NONE : bare;
    for (let i = 0; i < LOOKED_AT && other !== NONE && operation.memberCount < groups.stride; i += 1) {
      const next = groups.next[other]!;
      const isGood = this.reach.isClearFor(server, other) && this.#isGood(other);
      if (isGood && this.#plans.fits(operation, other)) this.#plans.include(operation, other, true);
      other = next;
    }
    return this.#begin(operation, server);
  }

  /** True if the bare group is in no doubt, and all of it can be reached. */
  #isGood(group: number): boolean {
    return !this.doubts.knows(group) && this.#standing.livesLinked(group);
  }

  #newGroup(server: Holder): Operation {
    const operation = this.#operations.take(OperationKind.COMPOSE)!;
    operation.newPageId = this.#port.newPageId();
    operation.server = server.index;
    operation.group = this.#groups.make(GroupState.COMPOSING);
    this.#groups.parityId[operation.group] = operation.newPageId;
    this.#groups.parityHolder[operation.group] = server.index;
    return operation;
  }

  // Outcomes

  operationDone(index: number, result: number, checksum: number): void {
    const operation = this.#operations.at(index);
    const isRebuild = operation.kind === OperationKind.REBUILD;
    // A target that is gone by now is gone with the page, or will be asked what it has when it comes back.
    const isHere = !isRebuild || this.#port.isLinked(operation.target);
    const status = result === ResultStatus.OK && !isHere ? ResultStatus.UNREACHABLE : result;
    for (let i = 0; i < operation.fromCount; i += 1) this.#groups.busy[operation.from[i]!]! -= 1;
    this.reach.ended(operation, status);
    const server = this.#port.table.at(operation.server);
    if (!isRebuild) server.unackedPages -= 1;
    if (operation.reclaims) this.#reclaiming.ended(operation, result);
    this.#disposal.dereference(operation.server);
    if (status === ResultStatus.WRONG || status === ResultStatus.MISSING)
      this.doubts.failed(operation, status);
    // Where there was no room for what mends, what reclaims goes on, and the other way round.
    else if (status === ResultStatus.FULL) {
      if (!operation.reclaims) this.#roomPause.failed(this.#absences.nowMs, this.#inNeed(operation));
    } else if (status !== ResultStatus.OK) this.#pause.failed(this.#absences.nowMs, this.#inNeed(operation));
    if (isRebuild) this.#rebuilt(operation, status, checksum);
    else this.#composed(operation, status);
    this.#operations.give(operation);
  }

  /** Groups that wait for operations such as this one, or have one under way. */
  #inNeed({ reclaims }: Operation): number {
    const lists = this.#lists;
    const waiting = reclaims ? lists.lengthFrom(BY_LIVE) : lists.length(BARE) + lists.length(DEGRADED);
    return this.#operations.underWay + waiting;
  }

  #composed(operation: Operation, status: number): void {
    const { group } = operation;
    if (status === ResultStatus.OK) {
      // Members leave their old groups, alive or dead by now.
      for (let i = 0; i < operation.memberCount; i += 1)
        this.#groups.transfer(this.#groups.find(operation.memberSlots[i]!, operation.memberIds[i]!), group);
      this.#groups.setState(group, GroupState.PROTECTED);
      for (let i = 0; i < operation.fromCount; i += 1) this.#replaced(operation.from[i]!);
      this.settled(group);
      return;
    }
    if (status === ResultStatus.FULL) this.#port.table.at(operation.server).full = true;
    this.#groups.free(group);
    for (let i = 0; i < operation.fromCount; i += 1) this.#settleAgain(operation.from[i]!);
  }

  #replaced(group: number): void {
    this.#parting.done(group);
    this.drop(group);
  }

  #settleAgain(group: number): void {
    if (this.#groups.busy[group]! > 0) return;
    this.#parting.failed(group);
    if (this.#groups.state[group] === GroupState.BARE) this.#disposal.purge(group);
    this.classify(group);
  }

  #rebuilt(operation: Operation, status: number, checksum: number): void {
    const target = this.#port.table.at(operation.target);
    const group = operation.from[0]!;
    target.unackedPages -= 1;
    if (status === ResultStatus.OK) this.#relocate(operation, group, checksum);
    else {
      if (status === ResultStatus.FULL) target.full = true;
      // It may be there all the same.
      if (status === ResultStatus.UNREACHABLE) this.#port.listLater(target.index);
    }
    this.#disposal.dereference(operation.target);
    this.#settleAgain(group);
  }

  /** The member is at the target now, under its new id. */
  #relocate(operation: Operation, group: number, checksum: number): void {
    const groups = this.#groups;
    this.doubts.forget(group);
    const { slot, target, newPageId } = operation;
    const member = groups.find(slot, operation.pageId);
    if (groups.alive[member] === 0) {
      this.#port.invalidate(target, newPageId);
      return;
    }
    const old = groups.holder[member]!;
    this.#port.pageMoved(slot, target, newPageId, checksum);
    const conflict = this.#standing.sharesHolder(group, member, target);
    this.#port.invalidate(old, operation.pageId);
    groups.pageId[member] = newPageId;
    groups.checksum[member] = checksum;
    groups.holder[member] = target;
    groups.seen(member);
    this.#port.table.at(target).references += 1;
    this.#disposal.dereference(old);
    if (conflict) this.#part(group, member);
    else {
      this.#judge(group);
      this.#port.describe(group);
    }
  }

  /** Two members of a group are on one server: this one and the rest go separate ways. */
  #part(group: number, member: number): void {
    const server = this.#port.table.at(this.#groups.parityHolder[group]!);
    // The one that has just been done is among these.
    const hasOperation = this.#operations.underWay <= this.#operations.size;
    if (!this.#parting.begin(group) || !hasOperation || !this.#port.takesPages(server)) return;
    const operation = this.#newGroup(server);
    this.#plans.includeBut(operation, group, member);
    this.#begin(operation, server);
  }
}
