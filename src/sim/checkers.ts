import { PAGE_BYTES } from "../base/page.ts";
import { Place } from "../slots/slot-map.ts";
import { checkGroups, checkGroupsQuiet } from "./group-checkers.ts";
import { isAccumulated, visitGroups } from "./group-view.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimNodes } from "./sim-nodes.ts";
import type { SimUser } from "./sim-user.ts";
import { Violation } from "./violation.ts";

const page = new Uint8Array(PAGE_BYTES);

/**
 * A write to the slot was answered just now: what the client's map means must be there, with bytes that a read could
 * return. The servers' stores are looked at directly. A server that died since answers for itself when it is read.
 */
export function checkHeld(user: SimUser, slot: number, nodes: SimNodes): void {
  const { core, process, identity, host } = user.client;
  const place = core.slots.place(slot);
  const fail = (what: string): never => {
    throw new Violation(process.nowMs, `${host}: slot ${slot} was acknowledged, but ${what}`);
  };
  if (place < Place.FIRST_HOLDER) {
    if (place === Place.LOST || place === Place.LOST_UNREAD) return;
    page.fill(0);
    if (place === Place.SAME_FILLED) fillPage(core.slots.wordLow(slot), core.slots.wordHigh(slot));
    const wrong = user.model.checkHeld(slot, page);
    if (wrong !== undefined) fail(`the map has no page for it: ${wrong}`);
    return;
  }
  const holder = core.table.at(place - Place.FIRST_HOLDER);
  const server = nodes.byIdentity(holder.identity);
  if (server === undefined) return;
  const pageId = core.slots.pageId(slot);
  const frame = server.core.frameOf(identity, pageId);
  if (nodes.hasVanished(holder.identity, identity, pageId)) return;
  if (frame < 0) fail(`"${server.address}" does not hold its page ${pageId}`);
  if (nodes.rot.has(holder.identity, identity, pageId)) return;
  server.core.readFrame(frame, page, 0);
  const wrong = user.model.checkHeld(slot, page);
  if (wrong !== undefined) fail(`"${server.address}" holds wrong bytes as page ${pageId}: ${wrong}`);
}

function fillPage(low: number, high: number): void {
  const view = new DataView(page.buffer);
  for (let at = 0; at < PAGE_BYTES; at += 8) {
    view.setUint32(at, low, true);
    view.setUint32(at + 4, high, true);
  }
}

/** Books of a server, at any time. */
export function checkServer(server: SimNode): void {
  const { frames } = server.core.snapshot();
  // A parity server keeps a few for itself.
  const kept = frames.limit - frames.used - frames.free;
  if (frames.used > frames.limit || kept < 0 || (kept > 0 && server.role !== "parity")) {
    throw new Violation(
      server.process.nowMs,
      `"${server.address}": ${frames.used} frames used, ${frames.free} free, of ${frames.limit}`,
    );
  }
  server.core.check();
}

/** True if no connection has anything to send. */
export function nothingQueued(clients: readonly SimClient[], servers: readonly SimNode[]): boolean {
  return (
    servers.every((server) => server.queuedBlocks === 0) &&
    clients.every((client) => client.peerPool.taken === 0 && client.nbdPool.taken === 0)
  );
}

/** When all is answered and quiet, nothing is left over. */
export function checkQuiet(clients: readonly SimClient[], nodes: SimNodes): void {
  const meant = new Map(clients.map((client) => [client.identity, pagesMeant(client)]));
  for (const node of nodes.living) {
    checkServer(node);
    checkPages(node, clients, meant);
    expectNone(node.process.nowMs, node.address, {
      "blocks of answers in use": node.queuedBlocks,
      "blocks of bytes carried over in use": node.carriedBlocks,
      ...node.faultsFound,
      ...(nodes.rot.count > 0 ? {} : node.wrongFound),
    });
  }
  for (const client of clients) {
    const { core, front, process } = client;
    expectNone(process.nowMs, client.host, {
      "frames in use": core.frames.used,
      "accumulators in use beyond the open groups'":
        core.frames.accumulators - core.frames.accumulatorsLeft - accumulators(client),
      "requests in flight": front.requestsInFlight,
      "pages waiting for a server": core.starved ? 1 : 0,
      "blocks of answers in use": client.nbdPool.taken,
      "blocks of server queues in use": client.peerPool.taken,
      "blocks of bytes carried over in use": client.carryPool.taken,
      "pages sent and not acknowledged": core.table.holders.reduce((sum, each) => sum + each.unackedPages, 0),
    });
    checkMap(client, nodes);
    checkGroups(client, nodes, () => true);
    checkGroupsQuiet(client, nodes);
  }
}

function expectNone(atMs: number, who: string, figures: Record<string, number>): void {
  for (const [what, figure] of Object.entries(figures)) {
    if (figure !== 0) throw new Violation(atMs, `${who}: ${figure} ${what} when all is quiet`);
  }
}

/** What a client needs of servers, as `server/page id`: pages of its map, members and parity pages of its groups. */
function pagesMeant(client: SimClient): Set<string> {
  const { slots, table } = client.core;
  const meant = new Set<string>();
  for (let slot = 0; slot < slots.slots; slot += 1) {
    const place = slots.place(slot);
    if (place < Place.FIRST_HOLDER) continue;
    meant.add(`${table.at(place - Place.FIRST_HOLDER).identity}/${slots.pageId(slot)}`);
  }
  visitGroups(client, (group) => {
    if (group.holder !== undefined) meant.add(`${group.holder}/${group.id}`);
    for (const { holder, pageId } of group.members) meant.add(`${holder}/${pageId}`);
  });
  return meant;
}

/** Nothing is held that its client does not need. */
function checkPages(node: SimNode, clients: readonly SimClient[], meant: Map<string, Set<string>>): void {
  node.core.visitPages((identity, pageId, slot) => {
    if (meant.get(identity)?.has(`${node.identity}/${pageId}`) === true) return;
    const client = clients.find((each) => each.identity === identity);
    const whose = `page ${pageId} of slot ${slot} of ${client?.host ?? identity}`;
    throw new Violation(node.process.nowMs, `"${node.address}" holds ${whose}, which nobody means`);
  });
}

/** Groups whose XOR is in a frame of the client's. */
function accumulators(client: SimClient): number {
  let count = 0;
  visitGroups(client, (group) => {
    if (isAccumulated(group)) count += 1;
  });
  return count;
}

/** Every page that a map means is held by its server, if that still lives; and the map's counts are right. */
function checkMap(client: SimClient, nodes: SimNodes): void {
  const { slots, table } = client.core;
  const live = new Map<number, number>();
  const counted = { sameFilled: 0, onServers: 0, lost: 0 };
  for (let slot = 0; slot < slots.slots; slot += 1) {
    const place = slots.place(slot);
    if (place === Place.SAME_FILLED) counted.sameFilled += 1;
    if (place === Place.LOST || place === Place.LOST_UNREAD) counted.lost += 1;
    if (place < Place.FIRST_HOLDER) continue;
    counted.onServers += 1;
    const holder = table.at(place - Place.FIRST_HOLDER);
    live.set(holder.index, (live.get(holder.index) ?? 0) + 1);
    const server = nodes.byIdentity(holder.identity);
    const pageId = slots.pageId(slot);
    if (server !== undefined && server.core.frameOf(client.identity, pageId) < 0) {
      const what = `"${server.address}" does not hold page ${pageId} of slot ${slot} of ${client.host}`;
      throw new Violation(client.process.nowMs, what);
    }
  }
  for (const [what, figure] of Object.entries(counted)) {
    const said = slots[what as keyof typeof counted];
    if (said !== figure) {
      throw new Violation(client.process.nowMs, `${client.host}: ${what} is ${said}, it should be ${figure}`);
    }
  }
  for (const holder of table.holders) {
    const figure = live.get(holder.index) ?? 0;
    if (holder.livePages === figure) continue;
    const what = `${holder.livePages} live pages on "${holder.name}", the map has ${figure}`;
    throw new Violation(client.process.nowMs, `${client.host}: ${what}`);
  }
}
