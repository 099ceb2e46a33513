import type { NodeRecord } from "./node-record.ts";

/** Why a node is no longer counted on. */
export type GoneReason = "down" | "superseded" | "left";

/**
 * What membership tells the rest of a node. Never about the node itself. For one identity the calls come as
 * `nodeUp (nodeChanged)* nodeGone`, and perhaps `nodeUp` again when a node that was taken for down is heard of.
 */
export interface MembershipPort {
  nodeUp(record: NodeRecord): void;
  /** Something other than the heartbeat is new: figures, addresses, state. */
  nodeChanged(record: NodeRecord): void;
  nodeGone(record: NodeRecord, why: GoneReason): void;
}
