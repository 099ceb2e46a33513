import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";

/** Which holders are away, since when, and whether that is so long that what they hold counts as lost. */
export class Absences {
  nowMs = 0;
  readonly #table: IpTable;
  readonly #lostAfterMs: number;
  /** When each holder's link ended, by index; 0: it stands. */
  readonly #endedMs: number[] = [];

  constructor(table: IpTable, lostAfterMs: number) {
    this.#table = table;
    this.#lostAfterMs = lostAfterMs;
  }

  /** The holder's link stands again; true if it had been away. */
  ended(holder: Holder): boolean {
    const wasAway = (this.#endedMs[holder.index] ?? 0) > 0;
    this.#endedMs[holder.index] = 0;
    return wasAway;
  }

  /** The holder's link has ended, lately or long ago. */
  began(holder: Holder): void {
    if ((this.#endedMs[holder.index] ?? 0) === 0) this.#endedMs[holder.index] = Math.max(1, this.nowMs);
  }

  /** When the link of a holder that is away ended. */
  sinceMs(index: number): number {
    return this.#endedMs[index] ?? 0;
  }

  /** True if the holder counts as lost: provably dead, or away for so long. */
  isLost(index: number, afterMs = this.#lostAfterMs): boolean {
    const { state } = this.#table.at(index);
    if (state === "dead") return true;
    const since = this.#endedMs[index] ?? 0;
    return state === "away" && since > 0 && this.nowMs - since >= afterMs;
  }
}
