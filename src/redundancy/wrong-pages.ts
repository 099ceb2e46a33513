import { limits } from "../base/limits.ts";
import { type GroupTable, NONE } from "./group-table.ts";

/** Until a page that could not be read anywhere is tried again. */
const RETRY_MS = 1_000;

interface Wrong {
  readonly pageId: number;
  untilMs: number;
}

/** Mirrored pages, or their copies, that were not what they should be where they should be: one of a group's two. */
export class WrongPages {
  readonly #groups: GroupTable;
  readonly #found = new Map<number, Wrong>();

  constructor(groups: GroupTable) {
    this.#groups = groups;
  }

  /** The page of this id is wrong; false if it is neither the group's page nor its copy, or that is known. */
  add(group: number, pageId: number): boolean {
    if (this.of(group) !== NONE || !this.#isOf(group, pageId)) return false;
    if (this.#found.size >= limits.mismatchesMax) this.#forgetOld();
    if (this.#found.size >= limits.mismatchesMax) return false;
    this.#found.set(group, { pageId, untilMs: 0 });
    return true;
  }

  #forgetOld(): void {
    for (const group of [...this.#found.keys()]) this.of(group);
  }

  /** The id of that of the group's pages which is wrong, or NONE. */
  of(group: number): number {
    const wrong = this.#found.get(group);
    if (wrong === undefined) return NONE;
    if (this.#isOf(group, wrong.pageId)) return wrong.pageId;
    this.#found.delete(group);
    return NONE;
  }

  #isOf(group: number, pageId: number): boolean {
    const { parityId } = this.#groups;
    return parityId[group] === pageId || this.#groups.memberOf(group, pageId) !== NONE;
  }

  /** The other one could not be read either. */
  failed(group: number, nowMs: number): void {
    const wrong = this.#found.get(group);
    if (wrong !== undefined) wrong.untilMs = nowMs + RETRY_MS;
  }

  /** True if the group is to be let be for now. */
  waits(group: number, nowMs: number): boolean {
    return nowMs < (this.#found.get(group)?.untilMs ?? 0);
  }

  /** What was wrong is mended, or counts as right for want of the other. */
  forget(group: number): void {
    this.#found.delete(group);
  }
}
