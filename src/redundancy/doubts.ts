import type { GivingUp } from "./giving-up.ts";
import type { GroupParts } from "./group-parts.ts";
import { GroupState, NONE } from "./group-table.ts";
import { type Operation, OperationKind } from "./operation.ts";
import type { Parting } from "./parting.ts";

/** A page that comes out wrong so often, and nothing of its group right meanwhile, cannot be made. */
const WRONG_MAX = 6;
/** Time until the next try, after the first that came out wrong; twice as long each time. */
const WAIT_MS_MIN = 200;
const WAIT_MS_MAX = 10_000;

interface Doubt {
  times: number;
  untilMs: number;
  /** How often each page that was to be made anew came out wrong, by its id. */
  readonly rebuilds: Map<number, number>;
}

/**
 * Groups of which some page is not what it should be, so that what was computed from them came out wrong. They are
 * let be for a while, then tried by themselves, for the sake of those that are right.
 */
export class Doubts {
  readonly #all = new Map<number, Doubt>();
  readonly #parts: GroupParts;
  readonly #parting: Parting;
  readonly #givingUp: GivingUp;
  nowMs = 0;

  constructor(parts: GroupParts, parting: Parting, givingUp: GivingUp) {
    this.#parts = parts;
    this.#parting = parting;
    this.#givingUp = givingUp;
  }

  /** True if something of the group came out wrong, and nothing right since. */
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

  /** Something that the operation needed is not what it should be. */
  wrong(operation: Operation): void {
    const { groups, standing } = this.#parts;
    const isRebuild = operation.kind === OperationKind.REBUILD;
    for (let i = 0; i < operation.fromCount; i += 1)
      this.#add(operation.from[i]!, isRebuild ? operation.pageId : NONE);
    const group = operation.from[0]!;
    if (groups.busy[group]! > 0) return;
    if (isRebuild) {
      const member = groups.find(operation.slot, operation.pageId);
      if (this.isSureOf(member) && standing.isDead(groups.holder[member]!))
        this.#givingUp.parityAndLost(group);
    } else if (operation.fromCount === 1 && groups.state[group] === GroupState.BARE) {
      // Those that are right need not wait for the one that is not.
      this.#parting.scatter(group);
    }
  }

  /** A page of the group (NONE: its parity) that was to be made came out wrong. */
  #add(group: number, pageId: number): void {
    const doubt = this.#all.get(group) ?? { times: 0, untilMs: 0, rebuilds: new Map() };
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
