import { limits } from "../base/limits.ts";
import type { IpTable } from "../placement/ip-table.ts";
import type { ServerLink } from "./server-link.ts";

/** After so many ticks without one, the client itself did not run. */
const DEAF_TICKS = 3;

/** How long servers are waited for before others do their part: some times what the fastest takes, within bounds. */
export class Patience {
  readonly #table: IpTable;
  #lookedMs = 0;
  #deafUntilMs = 0;
  #beforeMs = Number.NEGATIVE_INFINITY;

  constructor(table: IpTable) {
    this.#table = table;
  }

  /** What was asked for before then and is not answered is late. */
  get beforeMs(): number {
    return this.#beforeMs;
  }

  /** Time passes: true when it is time to look for what is late; often called, seldom true. */
  look(nowMs: number): boolean {
    const sinceMs = nowMs - this.#lookedMs;
    if (sinceMs < limits.hedgeCheckMs) return false;
    this.#lookedMs = nowMs;
    const patienceMs = this.#patienceMs();
    // What has come meanwhile is still to be read.
    if (sinceMs > DEAF_TICKS * limits.tickMs) this.#deafUntilMs = nowMs + patienceMs;
    this.#beforeMs = nowMs < this.#deafUntilMs ? Number.NEGATIVE_INFINITY : nowMs - patienceMs;
    return true;
  }

  /** True if the server owes something and has said nothing for too long: it is stopped, or cut off. */
  isSilent(link: ServerLink): boolean {
    return link.owed && link.lastHeardMs < this.#beforeMs;
  }

  #patienceMs(): number {
    let fastest = Number.POSITIVE_INFINITY;
    for (const holder of this.#table.servers) fastest = Math.min(fastest, holder.latencyMs);
    return Math.min(limits.hedgeMsMax, Math.max(limits.hedgeMsMin, limits.hedgeLatencies * fastest));
  }
}
