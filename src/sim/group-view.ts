import type { SimClient } from "./sim-client.ts";

/** A page in a parity group, as the client that made it knows it. */
export interface MemberView {
  readonly pageId: number;
  readonly slot: number;
  readonly checksum: number;
  /** Identity of the memory server that has it. */
  readonly holder: string;
  /** The slot still means it. */
  readonly live: boolean;
}

/**
 * A parity group. Its XOR is in the client's memory while it is open or closing, then at its holder; a mirrored page is
 * a group of one, whose parity page is the copy.
 */
export interface GroupView {
  readonly id: number;
  readonly state: "open" | "closing" | "protected" | "unprotected";
  /** Identity of the server that has its parity page, if one has. */
  readonly holder: string | undefined;
  readonly members: readonly MemberView[];
}

/** What checkers ask of a client's redundancy. */
interface Redundancy {
  visitGroups(visit: (group: GroupView) => void): void;
}

/** Shows every group of a client; none without redundancy. */
export function visitGroups(client: SimClient, visit: (group: GroupView) => void): void {
  (client.core as { redundancy?: Redundancy }).redundancy?.visitGroups(visit);
}

/** Pages of a client that were acknowledged and are not covered now, as it says itself. */
export function unprotectedPages(client: SimClient): number {
  return (client.core as { pages?: { unprotected: number } }).pages?.unprotected ?? 0;
}

/** True if the client has the XOR of the group's members itself. */
export const isAccumulated = (group: GroupView): boolean =>
  group.state === "open" || group.state === "closing";
