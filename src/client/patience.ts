import { limits } from "../base/limits.ts";
import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import type { LinkSet } from "./link-set.ts";
import type { ServerLink } from "./server-link.ts";

/** A page on its way to a server is given so long, beside all else: 32 Mbit/s. */
const PAGE_MS = 1;

/**
 * How long servers are waited for before others do their part. What is late is judged by when was looked before: by
 * now, all that had come then has been read, however long the client itself stood still.
 */
export class Patience {
  readonly #table: IpTable;
  readonly #links: LinkSet;
  /** By holder: when it was last heard, as known when was looked, and the pages on their way to it then. */
  readonly #heardMs: number[] = [];
  readonly #pages: number[] = [];
  #lookedMs = 0;
  #lookedBeforeMs = Number.NEGATIVE_INFINITY;
  #fastestMs = 0;

  constructor(table: IpTable, links: LinkSet) {
    this.#table = table;
    this.#links = links;
  }

  /** Time passes: true when it is time to look for what is late; often called, seldom true. */
  look(nowMs: number): boolean {
    if (nowMs - this.#lookedMs < limits.hedgeCheckMs) return false;
    this.#lookedBeforeMs = this.#lookedMs;
    this.#lookedMs = nowMs;
    this.#fastestMs = Number.POSITIVE_INFINITY;
    for (const holder of this.#table.servers) {
      this.#fastestMs = Math.min(this.#fastestMs, holder.latencyMs);
      this.#countPages(holder);
    }
    return true;
  }

  /** What is sent to a server once it says nothing is no reason to wait longer for it. */
  #countPages(holder: Holder): void {
    const heardMs = this.#links.of(holder)?.lastHeardMs ?? 0;
    if (heardMs === this.#heardMs[holder.index]) return;
    this.#heardMs[holder.index] = heardMs;
    this.#pages[holder.index] = holder.unackedPages;
  }

  /** When was looked before the last time: what was sent before then could have been answered. */
  get lookedBeforeMs(): number {
    return this.#lookedBeforeMs;
  }

  /** A read that was asked for before then and is not answered is late. */
  get readsBeforeMs(): number {
    return this.#lookedBeforeMs - patienceMs(this.#fastestMs);
  }

  /** What was sent to the server before then, and is not answered while the server says nothing, is late. */
  silentBeforeMs(holder: Holder): number {
    const usualMs = Math.max(this.#fastestMs, holder.latencyMs);
    return this.#lookedBeforeMs - patienceMs(usualMs) - (this.#pages[holder.index] ?? 0) * PAGE_MS;
  }

  /** True if the server owes something and has said nothing for too long: it is stopped, or cut off. */
  isSilent(holder: Holder, link: ServerLink): boolean {
    return link.owed && link.lastHeardMs < this.silentBeforeMs(holder);
  }
}

function patienceMs(usualMs: number): number {
  return Math.min(limits.hedgeMsMax, Math.max(limits.hedgeMsMin, limits.hedgeLatencies * usualMs));
}
