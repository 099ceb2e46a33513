import type { Absences } from "./absences.ts";
import type { GroupDisposal } from "./group-disposal.ts";
import { GroupState, type GroupTable, NONE } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";
import type { Standing } from "./standing.ts";

export interface MirrorCopiesOptions {
  groups: GroupTable;
  port: RedundancyPort;
  disposal: GroupDisposal;
  absences: Absences;
  standing: Standing;
  /** Copies under way at a time. */
  copiesMax: number;
  /** Puts the group where its state says. */
  classify: (group: number) => void;
  /** What is dead in a bare group is lost. */
  loseDead: (group: number) => void;
  /** The group's page is in the accumulator: it is to be put on another server. */
  close: (group: number, accumulator: number) => void;
}

/**
 * Brings mirrored pages, groups of one whose parity is a copy, back to two copies:
 *
 *     one of the two out of reach for long, or bare -> read into an accumulator -> what is lost is given up (the copy
 *     becomes the page, where that is what is left) -> the group closes, as when the page was new
 *     one of the two known to be wrong -> the same
 */
export class MirrorCopies {
  readonly #options: MirrorCopiesOptions;
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  /** The group that each accumulator is read for. */
  readonly #groupOf: Int32Array;
  #underWay = 0;

  constructor(options: MirrorCopiesOptions) {
    this.#options = options;
    this.#groups = options.groups;
    this.#port = options.port;
    this.#groupOf = new Int32Array(options.port.accumulators).fill(NONE);
  }

  /** The page of this id, the group's or its copy, is not what it should be, or missing. */
  wrong(group: number, pageId: number): void {
    const { state, busy } = this.#groups;
    const { standing, classify } = this.#options;
    const hasOther = state[group] === GroupState.PROTECTED || state[group] === GroupState.CLOSING;
    if (!hasOther || !standing.wrong.add(group, pageId) || state[group] === GroupState.CLOSING) return;
    this.#groups.setDegraded(group, true);
    if (busy[group] === 0) classify(group);
  }

  /** The holder of the one that is not known to be wrong; NONE: neither is. */
  #goodHolder(group: number): number {
    const groups = this.#groups;
    const wrong = this.#options.standing.wrong.of(group);
    if (wrong === NONE) return NONE;
    return wrong === groups.parityId[group]
      ? groups.holder[groups.first(group)]!
      : groups.parityHolder[group]!;
  }

  /**
   * One step for a page of whose two copies one is out of reach; false if there is nothing to do now. What may come
   * back is kept until the page is in the client's memory: until then it may be what makes up for the next loss.
   */
  mend(group: number): boolean {
    const { port, absences, standing, disposal, classify } = this.#options;
    const groups = this.#groups;
    const holder = groups.holder[groups.first(group)]!;
    const copy = groups.parityHolder[group]!;
    const good = this.#goodHolder(group);
    if (good !== NONE && !standing.isDead(good))
      return port.isLinked(good) && !standing.wrong.waits(group, absences.nowMs) && this.#read(group);
    // Without the other one, it is for reads to find out whether it is wrong for good.
    standing.wrong.forget(group);
    if (port.isLinked(holder) !== port.isLinked(copy))
      return absences.isLost(port.isLinked(copy) ? holder : copy) && this.#read(group);
    if (!standing.isDead(holder) || !standing.isDead(copy)) return false;
    disposal.dropParity(group);
    groups.setState(group, GroupState.BARE);
    groups.setDegraded(group, false);
    classify(group);
    return true;
  }

  /** One step for a page without a copy. */
  copy(group: number): boolean {
    const { port, standing, loseDead, classify } = this.#options;
    const holder = this.#groups.holder[this.#groups.first(group)]!;
    if (!standing.isDead(holder)) return port.isLinked(holder) && this.#read(group);
    loseDead(group);
    classify(group);
    return true;
  }

  /** Begins to read the page, so that it can be put on another server; false if that cannot be done now. */
  #read(group: number): boolean {
    const { port, classify } = this.#options;
    const groups = this.#groups;
    if (!this.#hasRoom || !this.#hasTaker(group)) return false;
    const accumulator = port.takeAccumulator();
    if (accumulator === NONE) return false;
    const state = groups.state[group];
    this.#underWay += 1;
    this.#groupOf[accumulator] = group;
    groups.busy[group]! += 1;
    classify(group);
    port.fill(accumulator, groups.slot[groups.first(group)]!);
    // If it was read at once it was a write of the slot under way: the page is about to die.
    return groups.busy[group]! > 0 || groups.state[group] !== state;
  }

  /** Somebody has room for another copy, beside the one that is left. */
  #hasTaker(group: number): boolean {
    const { table } = this.#port;
    const holder = this.#groups.holder[this.#groups.first(group)]!;
    if (this.#groups.state[group] === GroupState.BARE) return table.someHasRoomBesides(holder);
    const linked = this.#port.isLinked(holder) ? holder : this.#groups.parityHolder[group]!;
    const good = this.#goodHolder(group);
    return table.someHasRoomBesides(good === NONE ? linked : good);
  }

  /** Writers have most of the accumulators. */
  get #hasRoom(): boolean {
    const { accumulators, accumulatorsLeft } = this.#port;
    return this.#underWay < this.#options.copiesMax && accumulatorsLeft * 2 > accumulators;
  }

  /** What the slot means was read into the accumulator, or could not be read. */
  filled(accumulator: number, isRead: boolean): void {
    const groups = this.#groups;
    const group = this.#groupOf[accumulator]!;
    this.#groupOf[accumulator] = NONE;
    this.#underWay -= 1;
    groups.busy[group]! -= 1;
    if (isRead && this.#isPageOf(group, accumulator) && this.#giveUpLost(group)) {
      groups.setDegraded(group, false);
      this.#options.close(group, accumulator);
      return;
    }
    if (!isRead) this.#options.standing.wrong.failed(group, this.#options.absences.nowMs);
    this.#port.giveAccumulator(accumulator);
    if (groups.state[group] === GroupState.BARE) this.#options.disposal.purge(group);
    this.#options.classify(group);
  }

  #isPageOf(group: number, accumulator: number): boolean {
    const { live, pageId, checksum } = this.#groups;
    const member = this.#groups.first(group);
    return live[group]! > 0 && this.#port.holdsPage(accumulator, pageId[member]!, checksum[member]!);
  }

  /** The page is safe here: the copy that is of no use is given up. False: none of both is, or both are. */
  #giveUpLost(group: number): boolean {
    const groups = this.#groups;
    if (groups.state[group] === GroupState.BARE) return true;
    const member = groups.first(group);
    const good = this.#goodHolder(group);
    const hasCopy = this.#port.isLinked(groups.parityHolder[group]!) && good !== groups.holder[member];
    const hasPage = this.#port.isLinked(groups.holder[member]!) && good !== groups.parityHolder[group];
    if (hasPage === hasCopy) return false;
    this.#options.standing.wrong.forget(group);
    if (hasPage) this.#options.disposal.dropParity(group);
    else this.#useCopy(group, member);
    return true;
  }

  /** The copy is what the slot means from now on. */
  #useCopy(group: number, member: number): void {
    const groups = this.#groups;
    const copy = groups.parityHolder[group]!;
    const id = groups.parityId[group]!;
    const checksum = groups.parityChecksum[group]!;
    this.#port.pageMoved(groups.slot[member]!, copy, id, checksum);
    this.#options.disposal.discard(member);
    // That the copy refers to its holder now counts for the page.
    groups.pageId[member] = id;
    groups.checksum[member] = checksum;
    groups.holder[member] = copy;
    groups.seenAsParity(member);
  }
}
