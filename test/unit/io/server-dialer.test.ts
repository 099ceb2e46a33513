import { afterEach, expect, test } from "vitest";
import type { Block } from "../../../src/base/blocks.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { DataPort, newDataPool } from "../../../src/io/data-port.ts";
import { receiveRegionIn } from "../../../src/io/receive-region.ts";
import { ServerDialer } from "../../../src/io/server-dialer.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";
import { memoryServer, TestClient } from "../../support/cores.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds() && waited < 1000; waited += 1)
    await new Promise((done) => setTimeout(done, 10));
  expect(holds()).toBe(true);
}

function dialer(client: TestClient): ServerDialer {
  const flusher = new TurnFlusher(() => client.turn());
  const made = new ServerDialer({
    core: client.core,
    region: receiveRegionIn(client.arena.bytes, client.region),
    sendPool: client.peerPool,
    carryPool: new HeapBlockPool(4, limits.receiveBytesMax),
    flusher,
    nowMs: () => performance.now(),
    notice: (text) => client.notices.push(text),
  });
  ends.push(() => made.stop());
  return made;
}

test("a server is to be dialled while no queue can take a byte: later, and nothing breaks", async () => {
  const core = memoryServer("a");
  const dataPort = await DataPort.start(
    { host: "127.0.0.1", port: 0 },
    { core, sendPool: newDataPool(), onError: () => {} },
  );
  ends.push(() => dataPort.close());
  const client = new TestClient();
  const blocks: Block[] = [];
  while (client.peerPool.left > 0) blocks.push(client.peerPool.take());
  dialer(client).add("127.0.0.1", dataPort.address.port, "a");
  expect(client.notices).toHaveLength(1);
  for (const block of blocks) client.peerPool.give(block);
  await until(() => client.core.table.upCount === 1);
});
