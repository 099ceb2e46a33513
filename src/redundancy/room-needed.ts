import { limits } from "../base/limits.ts";
import type { RedundancyMode } from "./redundancy.ts";

/** 4 KiB frames: of memory servers, and of parity servers. */
export interface Room {
  readonly servers: number;
  readonly parity: number;
}

/**
 * The frames that a full device of so many slots takes, overwritten at random for long. With parity, dead pages stay in
 * their groups until they and the parity pages exceed a share of the live ones (`limits.reclaimShare`): with d dead
 * pages a live one, d + (1 + d) / groupSize is that share.
 */
export function roomNeeded(mode: RedundancyMode, slots: number, groupSize: number): Room {
  if (mode === "none") return { servers: slots, parity: 0 };
  if (mode === "mirror") return { servers: 2 * slots, parity: 0 };
  const dead = Math.max(0, (limits.reclaimShare - 1 / groupSize) / (1 + 1 / groupSize));
  return { servers: Math.ceil((1 + dead) * slots), parity: Math.ceil(((1 + dead) / groupSize) * slots) };
}
