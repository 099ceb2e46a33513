import type { GroupDisposal } from "./group-disposal.ts";
import type { GroupTable } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";
import type { Standing } from "./standing.ts";

/** What those who change groups work with. */
export interface GroupParts {
  groups: GroupTable;
  port: RedundancyPort;
  standing: Standing;
  disposal: GroupDisposal;
  /** Puts a group where its state says. */
  classify: (group: number) => void;
  /** No more pages join this open group: its parity is sent. */
  closeOpen: (group: number) => void;
}
