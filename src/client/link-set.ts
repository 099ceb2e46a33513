import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Holder } from "../placement/holder.ts";
import type { ServerLink } from "./server-link.ts";

/** The links of a client: all that are open, and which of them leads to which holder. */
export class LinkSet {
  readonly #all = new Set<ServerLink>();
  readonly #byHolder: (ServerLink | undefined)[] = [];
  readonly #drop: (link: ServerLink, error: Error) => void;
  #tickedMs: number | undefined;

  /** `drop` gives a link up; it calls `remove`. */
  constructor(drop: (link: ServerLink, error: Error) => void) {
    this.#drop = drop;
  }

  add(link: ServerLink): void {
    this.#all.add(link);
  }

  /** The link that leads to the holder, if one stands. */
  of(holder: Holder): ServerLink | undefined {
    return this.#byHolder[holder.index];
  }

  /** The link has turned out to lead to this holder. */
  bind(link: ServerLink, holder: Holder): void {
    link.holder = holder.index;
    this.#byHolder[holder.index] = link;
  }

  /** Forgets a link; false if it was forgotten before. */
  remove(link: ServerLink): boolean {
    if (link.holder >= 0 && this.#byHolder[link.holder] === link) this.#byHolder[link.holder] = undefined;
    return this.#all.delete(link);
  }

  /** Asks each server for the pages that were gathered for it. */
  ask(nowMs: number): void {
    this.#onEach((link) => link.ask(nowMs));
  }

  /** Encodes what was gathered for each server; on a tick also what waited for company. */
  flush(nowMs: number, isTick: boolean): void {
    this.#onEach((link) => link.flush(nowMs, isTick));
  }

  #onEach(act: (link: ServerLink) => void): void {
    for (const link of this.#byHolder) {
      if (link === undefined) continue;
      try {
        act(link);
      } catch (error) {
        if (!(error instanceof NswapError)) throw error;
        this.#drop(link, error);
      }
    }
  }

  /** Time passes: silent links are given up, idle ones asked for a sign of life. */
  tick(nowMs: number): void {
    const deafMs = nowMs - (this.#tickedMs ?? nowMs) - limits.clientTickMsMax;
    this.#tickedMs = nowMs;
    for (const link of this.#all) {
      const overdue = link.overdue(nowMs, deafMs);
      if (overdue !== undefined) this.#drop(link, overdue);
    }
  }

  /** The client leaves for good: servers may drop its pages. */
  goodbye(nowMs: number): void {
    for (const link of this.#all) link.goodbye();
    this.flush(nowMs, true);
  }
}
