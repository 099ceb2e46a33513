import { PAGE_BYTES } from "../base/page.ts";
import { type GroupView, visitGroups } from "./group-view.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimNodes } from "./sim-nodes.ts";
import { Violation } from "./violation.ts";

const xored = new Uint32Array(PAGE_BYTES / 4);
const part = new Uint8Array(PAGE_BYTES);
const words = new Uint32Array(part.buffer);

/** Groups of a client, at any time; those that are `chosen` are looked at closely. */
export function checkGroups(client: SimClient, nodes: SimNodes, chosen: () => boolean): void {
  visitGroups(client, (group) => {
    if (group.state !== "parting") checkDistinct(client, group);
    if (group.state !== "protected" || !chosen() || hasVanished(client, group, nodes)) return;
    checkParity(client, group, nodes);
  });
}

const fail = (client: SimClient, group: GroupView, what: string): never => {
  throw new Violation(client.process.nowMs, `${client.host}: group ${group.id} (${group.state}) ${what}`);
};

/** No server has two parts of a group. */
function checkDistinct(client: SimClient, group: GroupView): void {
  const seen = new Set<string>(group.holder === undefined ? [] : [group.holder]);
  for (const { holder, pageId } of group.members) {
    if (seen.has(holder))
      fail(client, group, `has its page ${pageId} on a server that has another part of it`);
    seen.add(holder);
  }
}

/** The XOR of the members' pages is the parity page; looked at where all of them are on servers that live. */
function checkParity(client: SimClient, group: GroupView, nodes: SimNodes): void {
  if (!nodes.lives(group.holder) || !group.members.every(({ holder }) => nodes.lives(holder))) return;
  if (hasRotten(client, group, nodes)) return;
  // It is kept only until what is under way with it has ended.
  if (!group.members.some(({ live }) => live)) return;
  xored.fill(0);
  addPart(client, group, nodes, group.holder!, group.id, "parity page");
  for (const { holder, pageId } of group.members) addPart(client, group, nodes, holder, pageId, "page");
  if (xored.some((word) => word !== 0)) {
    const pages = group.members.map(({ pageId }) => pageId).join(", ");
    fail(client, group, `is not the XOR of its pages ${pages}`);
  }
}

/** The members' pages and the parity page, each with its server. */
const partsOf = ({ members, holder, id }: GroupView): { holder: string | undefined; pageId: number }[] => [
  ...members,
  { holder, pageId: id },
];

/** A page of the group, or its parity page, has gone bad in the memory of its server. */
function hasRotten({ identity }: SimClient, group: GroupView, { rot }: SimNodes): boolean {
  return partsOf(group).some(({ holder, pageId }) => rot.has(holder, identity, pageId));
}

/** A page of the group, or its parity page, is not where it was, although its server stands. */
function hasVanished({ identity }: SimClient, group: GroupView, nodes: SimNodes): boolean {
  return partsOf(group).some(({ holder, pageId }) => nodes.hasVanished(holder, identity, pageId));
}

function addPart(
  client: SimClient,
  group: GroupView,
  nodes: SimNodes,
  holder: string,
  pageId: number,
  what: string,
): void {
  const node = nodes.byIdentity(holder)!;
  const frame = node.core.frameOf(client.identity, pageId);
  if (frame < 0) fail(client, group, `misses its ${what} ${pageId}: "${node.address}" does not hold it`);
  node.core.readFrame(frame, part, 0);
  for (let i = 0; i < words.length; i += 1) xored[i]! ^= words[i]!;
}

/** When all is quiet: every group is whole, and no group is left that means nothing. */
export function checkGroupsQuiet(client: SimClient, nodes: SimNodes): void {
  visitGroups(client, (group) => {
    if (["closing", "parting", "unprotected"].includes(group.state)) fail(client, group, "when all is quiet");
    if (!group.members.some((member) => member.live)) fail(client, group, "has no live page");
    if (group.state === "protected" && hasVanished(client, group, nodes))
      fail(client, group, "misses a page that vanished from its server when all is quiet");
    if (group.state === "protected" && !nodes.lives(group.holder))
      fail(client, group, "is on a server that is gone");
    for (const { holder, pageId } of group.members) {
      if (!nodes.lives(holder)) fail(client, group, `has page ${pageId} on a server that is gone`);
    }
    // In an open group it is found when it is read, or once the group has closed.
    if (group.state === "protected" && hasRotten(client, group, nodes) && !isBadCopy(client, group, nodes))
      fail(client, group, `has a page gone bad when all is quiet: ${nodes.rot.where}`);
    if (group.state === "protected") checkDescribed(client, group, nodes);
  });
}

/** The copy of a mirrored page is what has gone bad: nobody looks at it before it is needed. */
function isBadCopy({ core, identity }: SimClient, group: GroupView, { rot }: SimNodes): boolean {
  return core.redundancy.mode === "mirror" && rot.has(group.holder, identity, group.id);
}

/**
 * The parity server knows the members as they are, or none, or as they were when what it was told later got lost with
 * its connection: then some of them are nowhere any more, and its scrub passes the group over.
 */
function checkDescribed(client: SimClient, group: GroupView, nodes: SimNodes): void {
  const known: string[] = [];
  let isStale = false;
  const { core } = nodes.byIdentity(group.holder)!;
  core.visitMembers?.(client.identity, group.id, (pageId, checksum, server) => {
    known.push(`${pageId}/${checksum}@${server}`);
    isStale ||= !nodes.holds(server, client.identity, pageId);
  });
  const meant = group.members.map(({ pageId, checksum, holder }) => `${pageId}/${checksum}@${holder}`);
  if (known.length === 0 || isStale || known.sort().join() === meant.sort().join()) return;
  fail(client, group, `is of ${meant.join(", ")}, but its parity server takes it for ${known.join(", ")}`);
}
