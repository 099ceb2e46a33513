import { expect, test } from "vitest";
import type { Block } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

/** Takes all blocks that the links' queues could have, as queues of other links would; returns them. */
function exhaust(client: TestClient): Block[] {
  const blocks: Block[] = [];
  for (;;) {
    try {
      blocks.push(client.peerPool.take());
    } catch {
      return blocks;
    }
  }
}

function giveBack(client: TestClient, blocks: Block[]): void {
  for (const block of blocks) client.peerPool.give(block);
}

const none = { pageDone() {} };

test("pages are trimmed while no server reads: nothing breaks, and the servers free them when they read again", () => {
  const client = new TestClient();
  const server = memoryServer("a");
  const wire = client.join(server);
  const slots = [...Array(1000).keys()];
  for (const slot of slots) client.write(slot, pageOf(slot));
  client.pump();
  expect(server.snapshot().pagesHeld).toBe(slots.length);
  wire.toServer = false;
  const blocks = exhaust(client);
  for (const slot of slots) client.core.zeroPage(slot, true, none);
  client.turn();
  giveBack(client, blocks);
  for (const one of [...client.wires]) one.toServer = true;
  if (client.wires.length === 0) client.join(server);
  client.pump();
  expect(server.snapshot().pagesHeld).toBe(0);
});

test("more pages than the queues hold, for servers that do not read: they wait, and none is lost", () => {
  const client = new TestClient({ frames: 12_000 });
  const wires = [...Array(24).keys()].map((i) => client.join(memoryServer(String.fromCharCode(65 + i))));
  for (const wire of wires) wire.toServer = false;
  const slots = [...Array(10_000).keys()];
  const writes = slots.map((slot) => client.write(slot, pageOf(slot)));
  for (let turn = 0; turn < 4; turn += 1) client.turn();
  expect(client.wires).toHaveLength(wires.length);
  for (const wire of wires) wire.toServer = true;
  client.pump();
  expect(writes.every((write) => write.result === PageResult.OK)).toBe(true);
  const reads = slots.map((slot) => client.read(slot));
  client.pump();
  for (const slot of slots) expect(Buffer.compare(reads[slot]!.bytes!, pageOf(slot))).toBe(0);
});

test("a server welcomes us, and sends what breaks the protocol, while no queue can take a byte", () => {
  const client = new TestClient();
  const wire = client.connect(memoryServer("a"));
  client.turn();
  client.deliverToServer(wire);
  let blocks = exhaust(client);
  client.deliverToClient(wire);
  client.turn();
  giveBack(client, blocks);
  const again = client.join(memoryServer("b"));
  expect(again.link.up).toBe(true);
  blocks = exhaust(client);
  client.arena.bytes.fill(0xff, client.region, client.region + 64);
  again.link.receive(client.arena.bytes, client.region, client.region + 64, client.nowMs);
  expect(again.link.closed).toBeDefined();
  giveBack(client, blocks);
});

test("an idle link is due for a sign of life while no queue can take a byte: it waits, and stands", () => {
  const client = new TestClient();
  const { link } = client.join(memoryServer("a"));
  const blocks = exhaust(client);
  const wait = limits.linkPingMs + 2 * limits.linkSilenceMsMax;
  for (client.nowMs = 0; client.nowMs < wait; client.nowMs += 100) client.core.tick(client.nowMs);
  expect([link.closed, link.owed]).toEqual([undefined, false]);
  giveBack(client, blocks);
  client.turn();
  expect(link.owed).toBe(true);
  client.pump();
  expect([link.owed, link.lastHeardMs, client.peerPool.taken]).toEqual([false, client.nowMs, 0]);
});

test("a client with a small pool keeps a part of it for what cannot wait, not all of it", () => {
  const client = new TestClient({ peerBlocks: 16 });
  client.join(memoryServer("a"));
  const write = client.write(1, pageOf(1));
  client.pump();
  expect(write.done).toBe(true);
});
