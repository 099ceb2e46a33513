import net from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Block } from "../../../src/base/blocks.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import type { ServerLink } from "../../../src/client/server-link.ts";
import { DataPort, newDataPool } from "../../../src/io/data-port.ts";
import { receiveRegionIn } from "../../../src/io/receive-region.ts";
import { ServerDialer } from "../../../src/io/server-dialer.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds() && waited < 1000; waited += 1)
    await new Promise((done) => setTimeout(done, 10));
  expect(holds()).toBe(true);
}

function dialer(client: TestClient, refusedMeansDeadMs?: number): ServerDialer<ServerLink> {
  const flusher = new TurnFlusher({ beforeFlush: () => client.turn() });
  const made = new ServerDialer({
    ...(refusedMeansDeadMs === undefined ? {} : { refusedMeansDeadMs }),
    core: client.core,
    region: receiveRegionIn(client.arena.bytes, client.region),
    sendPool: client.peerPool,
    carryPool: new HeapBlockPool(4, limits.receiveBytesMax),
    flusher,
    nowMs: () => performance.now(),
    notice: client.notice,
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

/** A server with a page of the client, whose process ends: its machine refuses connections. */
async function deadServer(refusedMeansDeadMs: number) {
  const core = memoryServer("a");
  const dataPort = await DataPort.start(
    { host: "127.0.0.1", port: 0 },
    { core, sendPool: newDataPool(), onError: () => {} },
  );
  ends.push(() => dataPort.close());
  const { port } = dataPort.address;
  const client = new TestClient();
  const dialled = dialer(client, refusedMeansDeadMs);
  dialled.add("127.0.0.1", port, "a");
  await until(() => dialled.linked("server") === 1);
  expect(dialled.linked("parity")).toBe(0);
  const written = client.write(0, pageOf(1));
  client.core.flush(client.nowMs);
  await until(() => written.done);
  dataPort.close();
  await until(() => client.core.table.upCount === 0);
  return { client, dialled, port, read: client.read(0) };
}

test("a server whose address refuses connections for long, and that nobody hears of, is lost", async () => {
  const { client, dialled, port, read } = await deadServer(300);
  dialled.unheard("127.0.0.1", port);
  await until(() => read.done);
  expect(read.result).toBe(PageResult.LOST);
  expect(client.notices.join("\n")).toContain(`nobody listens at 127.0.0.1:${port} any more`);
  // Somebody who is heard of there later on is linked to again.
  const again = await DataPort.start(
    { host: "127.0.0.1", port },
    { core: memoryServer("b"), sendPool: newDataPool(), onError: () => {} },
  );
  ends.push(() => again.close());
  dialled.add("127.0.0.1", port, "b");
  await until(() => client.core.table.upCount === 1);
});

test("while others hear of it, a server that refuses connections is not lost: its pages are waited for", async () => {
  const { client, dialled, port, read } = await deadServer(300);
  await new Promise((done) => setTimeout(done, 1_200));
  expect(read.done).toBe(false);
  expect(client.core.counters.serversLost).toBe(0);
  // It was refused for long enough already: now nothing speaks for it any more.
  dialled.unheard("127.0.0.1", port);
  await until(() => read.done);
  expect(read.result).toBe(PageResult.LOST);
});

test("a server of another role at the address of one is another process", async () => {
  const core = memoryServer("a");
  const dataPort = await DataPort.start(
    { host: "127.0.0.1", port: 0 },
    { core, sendPool: newDataPool(), onError: () => {} },
  );
  ends.push(() => dataPort.close());
  const client = new TestClient();
  const dialled = dialer(client);
  dialled.add("127.0.0.1", dataPort.address.port, "a", "server");
  await until(() => dialled.linked("server") === 1);
  dialled.add("127.0.0.1", dataPort.address.port, "a", "parity");
  expect(client.core.counters.serversLost).toBe(1);
  expect(dialled.linked("server")).toBe(0);
});
