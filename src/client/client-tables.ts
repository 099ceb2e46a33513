import { limits } from "../base/limits.ts";
import { INDEX_BYTES } from "../redundancy/group-table.ts";
import type { RedundancyMode } from "../redundancy/redundancy.ts";
import { SLOT_BYTES } from "../slots/slot-map.ts";

/** Bytes of a client's tables that are set aside at its start, for a device of so many slots. */
export function clientTableBytes(mode: RedundancyMode, slots: number): number {
  const groupBytes = mode === "none" ? 0 : INDEX_BYTES + limits.groupBytesPerSlot;
  return slots * (SLOT_BYTES + groupBytes);
}
