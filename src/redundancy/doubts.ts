import { ResultStatus } from "../../proto/peer/index.ts";
import type { GivingUp } from "./giving-up.ts";
import type { GroupParts } from "./group-parts.ts";
import { GroupState, NONE } from "./group-table.ts";
import { type Operation, OperationKind } from "./operation.ts";
import type { Parting } from "./parting.ts";
import type { Vanished } from "./vanished.ts";

/** A page that comes out wrong, or is missing, so often, and nothing of its group right meanwhile, cannot be had. */
const WRONG_MAX = 6;
/** Time until the next try, after the first that came out wrong; twice as long each time. */
const WAIT_MS_MIN = 200;
const WAIT_MS_MAX = 10_000;

interface Doubt {
  times: number;
  untilMs: number;
  /** How often each page that was to be made anew came out wrong, or lacked a source, by its id. */
  readonly rebuilds: Map<number, number>;
  /** How often the group's only live page was missing itself. */
  missing: number;
}

/**
 * Groups of which some page is not what it should be, or is missing, so that what was computed from them came out
 * wrong, or could not be computed. They are let be for a while, then tried by themselves, for the sake of those that
 * are right.
 */
export class Doubts {
  readonly #all = new Map<number, Doubt>();
  readonly #parts: GroupParts;
  readonly #parting: Parting;
  readonly #givingUp: GivingUp;
  readonly #vanished: Vanished;
  nowMs = 0;

  constructor(parts: GroupParts, parting: Parting, givingUp: GivingUp, vanished: Vanished) {
    this.#vanished = vanished;
    this.#parts = parts;
    this.#parting = parting;
    this.#givingUp = givingUp;
  }

  /** True if something of the group came out wrong or was missing, and nothing came out right since. */
  knows(group: number): boolean {
    return this.#all.has(group);
  }

  /** True if the group is to be let be for now. */
  has(group: number): boolean {
    const doubt = this.#all.get(group);
    return doubt !== undefined && this.nowMs < doubt.untilMs;
  }

  /** True if this page cannot be made from the others of its group: that was tried time and again. */
  isSureOf(member: number): boolean {
    const { groups } = this.#parts;
    const doubt = this.#all.get(groups.groupOf(member));
    return (doubt?.rebuilds.get(groups.pageId[member]!) ?? 0) >= WRONG_MAX;
  }

  /** Something that the operation needed is not what it should be (WRONG), or not where it should be (MISSING). */
  failed(operation: Operation, status: number): void {
    const { groups, standing } = this.#parts;
    const isRebuild = operation.kind === OperationKind.REBUILD;
    for (let i = 0; i < operation.fromCount; i += 1)
      this.#add(operation.from[i]!, isRebuild ? operation.pageId : NONE);
    const group = operation.from[0]!;
    if (groups.busy[group]! > 0) return;
    if (isRebuild) {
      const member = groups.find(operation.slot, operation.pageId);
      if (!this.isSureOf(member) || !standing.isDead(groups.holder[member]!)) return;
      // The rest has not been tried by itself.
      this.forget(group);
      this.#givingUp.parityAndLost(group);
    } else if (status === ResultStatus.MISSING && isOfOnePage(operation)) {
      this.#missing(group, groups.find(operation.memberSlots[0]!, operation.memberIds[0]!));
    } else if (operation.fromCount === 1 && groups.state[group] === GroupState.BARE) {
      // Those that are right need not wait for the one that is not.
      this.#parting.scatter(group);
    }
  }

  /** The member's page, which alone was asked for, is not where it should be. */
  #missing(group: number, member: number): void {
    const doubt = this.#all.get(group)!;
    doubt.missing += 1;
    if (doubt.missing >= WRONG_MAX && this.#vanished.member(member)) this.forget(group);
  }

  /** A page of the group (NONE: its parity) that was to be made came out wrong. */
  #add(group: number, pageId: number): void {
    const doubt = this.#all.get(group) ?? { times: 0, untilMs: 0, rebuilds: new Map(), missing: 0 };
    doubt.untilMs = this.nowMs + Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** doubt.times);
    doubt.times += 1;
    if (pageId !== NONE) doubt.rebuilds.set(pageId, (doubt.rebuilds.get(pageId) ?? 0) + 1);
    this.#all.set(group, doubt);
  }

  /** The group is right, or is no more. */
  forget(group: number): void {
    this.#all.delete(group);
  }
}

/** True if the operation takes nothing but the only member's own page. */
function isOfOnePage({ memberCount, sourceCount, memberIds, sourceIds }: Operation): boolean {
  return memberCount === 1 && sourceCount === 1 && memberIds[0] === sourceIds[0];
}
