import type { Holder } from "../placement/holder.ts";
import { GroupState } from "../redundancy/group-table.ts";
import type { SimClient } from "./sim-client.ts";

/** A page in a parity group, as the client that made it knows it. */
export interface MemberView {
  readonly pageId: number;
  readonly slot: number;
  readonly checksum: number;
  /** Identity of the memory server that has it; a name of its own for what a server is known not to have any more. */
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
  readonly state: "open" | "closing" | "protected" | "parting" | "unprotected";
  /** Identity of the server that has its parity page, if one has. */
  readonly holder: string | undefined;
  /** Identity of the server that its parity page was sent to; its acknowledgement may be on its way. */
  readonly sentTo: string | undefined;
  readonly members: readonly MemberView[];
}

const STATES: Readonly<Record<number, GroupView["state"]>> = {
  [GroupState.OPEN]: "open",
  [GroupState.CLOSING]: "closing",
  [GroupState.PROTECTED]: "protected",
  [GroupState.PARTING]: "parting",
  [GroupState.BARE]: "unprotected",
};

/** Shows every group of a client that has members; none without redundancy. */
export function visitGroups({ core }: SimClient, visit: (group: GroupView) => void): void {
  const { groups } = core.redundancy;
  if (groups === undefined) return;
  for (let group = 0; group < groups.end; group += 1) {
    const state = STATES[groups.state[group]!];
    if (state === undefined) continue;
    const members: MemberView[] = [];
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      members.push({
        pageId: groups.pageId[m]!,
        slot: groups.slot[m]!,
        checksum: groups.checksum[m]!,
        holder: nameOf(core, groups.holder[m]!),
        live: groups.alive[m] === 1,
      });
    }
    const holder = state === "protected" ? nameOf(core, groups.parityHolder[group]!) : undefined;
    const sentTo = state === "closing" ? whereSent(core, group) : undefined;
    visit({ id: groups.parityId[group]!, state, holder, sentTo, members });
  }
}

/** What the client takes for the server of this row: not that which stands, if the row is of its past. */
function nameOf({ table }: SimClient["core"], row: number): string {
  const holder = table.at(row);
  const standing = table.byIdentity(holder.identity) ?? holder;
  return standing === holder ? holder.identity : `what ${holder.identity} was`;
}

/** Where the parity page of a closing group is on its way to, or from where its acknowledgement is. */
function whereSent({ frames, redundancy, table }: SimClient["core"], group: number): string | undefined {
  const groups = redundancy.groups!;
  const frame = frames.frameOf(groups.accumulator[group]!);
  if (frames.placedOn[frame]! < 0 || frames.pageId[frame] !== groups.parityId[group]) return undefined;
  // The row of one that is known to be gone may be free.
  const server: Holder | undefined = table.at(frames.placedOn[frame]!);
  return server?.state === "up" ? server.identity : undefined;
}

/** Pages of a client that were acknowledged and are not covered now, as it says itself. */
export const unprotectedPages = ({ core }: SimClient): number => core.redundancy.figures().unprotected;

/** True if the client has the XOR of the group's members itself. */
export const isAccumulated = (group: GroupView): boolean =>
  group.state === "open" || group.state === "closing";
