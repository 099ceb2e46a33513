import type { GroupTable } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";

export interface ReprotectionOptions {
  groups: GroupTable;
  port: RedundancyPort;
  mirror: boolean;
  /** Operations under way at a time. */
  operationsMax: number;
  /** An unreachable server counts as lost after so long. */
  lostAfterMs: number;
  /** A group whose operation could not reach what it needs is tried again after so long. */
  retryMs: number;
  /** Pages that these may fetch in a second, to mend what a loss has left; on average over a tenth of a second. */
  pagesPerSecond: number;
  /** Frames beyond those of live pages, as a share of these, before groups are reclaimed. */
  reclaimShare: number;
  /** mirror: the group's page is in the accumulator, and is to be put on another server. */
  close: (group: number, accumulator: number) => void;
  /** No more pages join this open group: its parity is sent. */
  closeOpen: (group: number) => void;
  /** True if it is known which page of the group is wrong. */
  isWrong: (group: number) => boolean;
}
