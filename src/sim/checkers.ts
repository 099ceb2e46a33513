import { PAGE_BYTES } from "../base/page.ts";
import { Place } from "../slots/slot-map.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimServer } from "./sim-server.ts";
import type { SimUser } from "./sim-user.ts";
import { Violation } from "./violation.ts";

const page = new Uint8Array(PAGE_BYTES);

/**
 * A write to the slot was answered just now: what the client's map means must be there, with bytes that a read could
 * return. The servers' stores are looked at directly. A server that died since answers for itself when it is read.
 */
export function checkHeld(user: SimUser, slot: number, servers: readonly SimServer[]): void {
  const { core, process, identity, host } = user.client;
  const place = core.slots.place(slot);
  const fail = (what: string): never => {
    throw new Violation(process.nowMs, `${host}: slot ${slot} was acknowledged, but ${what}`);
  };
  if (place < Place.FIRST_HOLDER) {
    if (place === Place.LOST) return;
    page.fill(0);
    if (place === Place.SAME_FILLED) fillPage(core.slots.wordLow(slot), core.slots.wordHigh(slot));
    const wrong = user.model.checkHeld(slot, page);
    if (wrong !== undefined) fail(`the map has no page for it: ${wrong}`);
    return;
  }
  const holder = core.table.at(place - Place.FIRST_HOLDER);
  const server = servers.find((each) => each.identity === holder.identity);
  if (server === undefined) return;
  const pageId = core.slots.pageId(slot);
  const frame = server.core.frameOf(identity, pageId);
  if (frame < 0) fail(`"${server.address}" does not hold its page ${pageId}`);
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
export function checkServer(server: SimServer): void {
  const { frames } = server.core.snapshot();
  if (frames.used > frames.limit || frames.used + frames.free !== frames.limit) {
    throw new Violation(
      server.process.nowMs,
      `"${server.address}": ${frames.used} frames used, ${frames.free} free, of ${frames.limit}`,
    );
  }
  server.core.check();
}

/** True if no connection has anything to send. */
export function nothingQueued(clients: readonly SimClient[], servers: readonly SimServer[]): boolean {
  return (
    servers.every((server) => server.pool.taken === 0) &&
    clients.every((client) => client.peerPool.taken === 0 && client.nbdPool.taken === 0)
  );
}

/** When all is answered and quiet, nothing is left over. */
export function checkQuiet(clients: readonly SimClient[], servers: readonly SimServer[]): void {
  for (const server of servers) {
    checkServer(server);
    checkPages(server, clients);
    expectNone(server.process.nowMs, server.address, {
      "blocks of answers in use": server.pool.taken,
      "blocks of bytes carried over in use": server.carryPool.taken,
    });
  }
  for (const client of clients) {
    const { core, front, process } = client;
    expectNone(process.nowMs, client.host, {
      "frames in use": core.frames.used,
      "requests in flight": front.requestsInFlight,
      "pages waiting for a server": core.starved ? 1 : 0,
      "blocks of answers in use": client.nbdPool.taken,
      "blocks of server queues in use": client.peerPool.taken,
      "blocks of bytes carried over in use": client.carryPool.taken,
      "pages sent and not acknowledged": core.table.holders.reduce((sum, each) => sum + each.unackedPages, 0),
    });
    checkMap(client, servers);
  }
}

function expectNone(atMs: number, who: string, figures: Record<string, number>): void {
  for (const [what, figure] of Object.entries(figures)) {
    if (figure !== 0) throw new Violation(atMs, `${who}: ${figure} ${what} when all is quiet`);
  }
}

/** Every page that a server holds is meant by its client's map. */
function checkPages(server: SimServer, clients: readonly SimClient[]): void {
  server.core.visitPages((identity, pageId, slot) => {
    const client = clients.find((each) => each.identity === identity);
    const slots = client?.core.slots;
    const place = slots?.place(slot) ?? Place.UNMAPPED;
    const meant =
      place >= Place.FIRST_HOLDER &&
      slots!.pageId(slot) === pageId &&
      client!.core.table.at(place - Place.FIRST_HOLDER).identity === server.identity;
    if (!meant) {
      const whose = `page ${pageId} of slot ${slot} of ${client?.host ?? identity}`;
      throw new Violation(server.process.nowMs, `"${server.address}" holds ${whose}, which nobody means`);
    }
  });
}

/** Every page that a map means is held by its server, if that still lives; and the map's counts are right. */
function checkMap(client: SimClient, servers: readonly SimServer[]): void {
  const { slots, table } = client.core;
  const live = new Map<number, number>();
  const counted = { sameFilled: 0, onServers: 0, lost: 0 };
  for (let slot = 0; slot < slots.slots; slot += 1) {
    const place = slots.place(slot);
    if (place === Place.SAME_FILLED) counted.sameFilled += 1;
    if (place === Place.LOST) counted.lost += 1;
    if (place < Place.FIRST_HOLDER) continue;
    counted.onServers += 1;
    const holder = table.at(place - Place.FIRST_HOLDER);
    live.set(holder.index, (live.get(holder.index) ?? 0) + 1);
    const server = servers.find((each) => each.identity === holder.identity);
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
