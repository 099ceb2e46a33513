import { expect, it } from "vitest";
import { toHex } from "../../../src/base/hex.ts";
import { limits } from "../../../src/base/limits.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { pageOf, TestClient, type Wire } from "../../support/cores.ts";

const identityOf = (life: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, life + 1);
  return bytes;
};

/** A memory server as it comes back, empty and under a new identity. */
const start = (life: number): MemoryServerCore =>
  new MemoryServerCore({
    ...{ identity: identityOf(life), name: "m", capacityFrames: 16, hashSeed: 1 },
    ...{ nonce: () => new Uint8Array(32), storeChunkBytes: 4096 * 16 },
  });

/** It takes the page of a slot, and is gone for good. */
function liveOnce(client: TestClient, life: number, slot: number): Wire {
  const wire = client.join(start(life));
  client.write(slot, pageOf(slot));
  client.pump();
  if (!wire.cut) client.cut(wire);
  client.core.serverLost(toHex(identityOf(life)), "another process is at its address");
  return wire;
}

const rows = (client: TestClient): number => client.core.table.holders.length;

it("a server that was started a thousand times ends nobody: its link is refused until its rows are free again", () => {
  const client = new TestClient({ slots: 4096 });
  const lives = limits.memoryServersMax;
  for (let life = 0; life < lives; life += 1) liveOnce(client, life, life);
  const refused = client.join(start(lives));
  expect(refused.link.closed).toMatchObject({ code: "LIMIT_REACHED" });
  client.cut(refused);
  client.core.tick(client.nowMs);
  expect(rows(client)).toBe(0);
  const write = client.write(lives, pageOf(lives));
  client.join(start(lives + 1));
  expect(write.result).toBe(PageResult.OK);
  expect(client.core.pages).toMatchObject({ live: 1, lost: lives });
});

it("a page whose server's row is free again is lost once, and named when it is read", () => {
  const client = new TestClient({ slots: 8 });
  liveOnce(client, 0, 3);
  client.core.tick(client.nowMs);
  expect([client.core.lostPages, client.core.counters.pagesLost]).toEqual([1, 0]);
  for (let i = 0; i < 2; i += 1) expect(client.read(3).result).toBe(PageResult.LOST);
  expect([client.core.lostPages, client.core.counters.pagesLost]).toEqual([1, 1]);
  expect(client.notices.filter((text) => text.includes("slot=3 page=1 "))).toHaveLength(1);
  client.join(start(1));
  client.write(3, pageOf(4));
  client.pump();
  expect(client.core.lostPages).toBe(0);
  const read = client.read(3);
  client.pump();
  expect(Buffer.compare(read.bytes!, pageOf(4))).toBe(0);
});

it("a tick looks at no more slots of a large device for it than it may", () => {
  const slots = limits.lostSlotsPerTickMax + 10;
  const client = new TestClient({ slots });
  liveOnce(client, 0, slots - 1);
  client.core.tick(client.nowMs);
  expect(rows(client)).toBe(1);
  client.core.tick(client.nowMs);
  expect([rows(client), client.core.lostPages]).toEqual([0, 1]);
});
