import { type GroupTable, NONE } from "./group-table.ts";

/** What comes out wrong so often is wrong. */
const WRONG_MAX = 6;
/** Time until the next try, after the first that came out wrong; twice as long each time. */
const WAIT_MS_MIN = 200;
const WAIT_MS_MAX = 10_000;
/** Groups remembered; beyond it the oldest is forgotten, and merely tried again too soon. */
const REMEMBERED_MAX = 4096;

interface Doubt {
  times: number;
  untilMs: number;
}

/**
 * Groups of which some page is not what it should be, so that what was computed from them came out wrong. They are
 * let be for a while, for the sake of those that are right. A group is known by its first member's page.
 */
export class Doubts {
  readonly #groups: GroupTable;
  readonly #all = new Map<number, Doubt>();
  nowMs = 0;

  constructor(groups: GroupTable) {
    this.#groups = groups;
  }

  #key(group: number): number {
    return this.#groups.count[group] === 0 ? NONE : this.#groups.pageId[this.#groups.first(group)]!;
  }

  /** True if the group is to be let be for now. */
  has(group: number): boolean {
    if (this.#all.size === 0) return false;
    const doubt = this.#all.get(this.#key(group));
    return doubt !== undefined && this.nowMs < doubt.untilMs;
  }

  /** What was computed from the group came out wrong. True if that has happened often enough to be believed. */
  add(group: number): boolean {
    const key = this.#key(group);
    const times = (this.#all.get(key)?.times ?? 0) + 1;
    this.#all.delete(key);
    if (times >= WRONG_MAX) return true;
    const waitMs = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** (times - 1));
    this.#all.set(key, { times, untilMs: this.nowMs + waitMs });
    if (this.#all.size > REMEMBERED_MAX) this.#all.delete(this.#all.keys().next().value!);
    return false;
  }
}
