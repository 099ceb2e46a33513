import net from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Block } from "../../../src/base/blocks.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
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
  const flusher = new TurnFlusher({ beforeFlush: () => client.turn() });
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

test("a server that welcomes and then breaks the protocol, every time, is dialled with growing pauses", async () => {
  const core = memoryServer("a");
  let welcomed = 0;
  const server = net.createServer((socket) => {
    const out = new OutQueue(new HeapBlockPool(4, limits.dataBlockBytes));
    const connection = core.connect(out);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      connection.receive(chunk, 0, chunk.length);
      for (; out.pieces > 0; out.consume(out.piece(0).length)) socket.write(out.piece(0).slice());
      if (connection.client === undefined || socket.writableEnded) return;
      // What comes next is its LIST: answered by what is no frame.
      welcomed += 1;
      setTimeout(() => socket.end(new Uint8Array(16).fill(0xff)), 10);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  ends.push(() => server.close());
  const client = new TestClient();
  dialer(client).add("127.0.0.1", (server.address() as net.AddressInfo).port, "a");
  await new Promise((done) => setTimeout(done, 2_000));
  expect(welcomed).toBeGreaterThan(2);
  expect(welcomed).toBeLessThan(24);
});
