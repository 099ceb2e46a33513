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
import type { LinkedRole, Place } from "../../../src/io/whereabouts.ts";
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

/** The identity that `memoryServer(name)` has. */
const identityOf = (name: string): string => Buffer.alloc(16, name.charCodeAt(0)).toString("hex");

const at = (port: number, label: string, role: LinkedRole = "server"): Place => ({
  ...{ host: "127.0.0.1", port, label, role },
});

/** A memory server of this identity, under the name that it is said to have. */
async function listening(identity: string, name = identity, port = 0): Promise<DataPort> {
  const core = memoryServer(identity, 4096, name);
  const where = { host: "127.0.0.1", port };
  const dataPort = await DataPort.start(where, { core, sendPool: newDataPool(), onError: () => {} });
  ends.push(() => dataPort.close());
  return dataPort;
}

test("a server is to be dialled while no queue can take a byte: later, and nothing breaks", async () => {
  const dataPort = await listening("a");
  const client = new TestClient();
  const blocks: Block[] = [];
  while (client.peerPool.left > 0) blocks.push(client.peerPool.take());
  dialer(client).add(identityOf("a"), at(dataPort.address.port, "a"));
  expect(client.notices).toHaveLength(1);
  for (const block of blocks) client.peerPool.give(block);
  await until(() => client.core.table.upCount === 1);
});

test("a link that was lost stands again: that is said, as its loss was", async () => {
  const core = memoryServer("a", 4096, "a");
  const where = { host: "127.0.0.1", port: 0 };
  const start = (port: number) =>
    DataPort.start({ ...where, port }, { core, sendPool: newDataPool(), onError: () => {} });
  const first = await start(0);
  const { port } = first.address;
  const client = new TestClient();
  const dialled = dialer(client);
  dialled.add(identityOf("a"), at(port, "a"));
  await until(() => dialled.linked("server") === 1);
  first.close();
  await until(() => dialled.linked("server") === 0);
  const second = await start(port);
  ends.push(() => second.close());
  await until(() => dialled.linked("server") === 1);
  const said = client.notices.filter((line) => line.startsWith("linked to"));
  expect(said).toHaveLength(2);
  expect(said[1]).toContain("linked to a memory server again");
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
  dialer(client).add(identityOf("a"), at((server.address() as net.AddressInfo).port, "a"));
  await new Promise((done) => setTimeout(done, 2_000));
  expect(welcomed).toBeGreaterThan(2);
  expect(welcomed).toBeLessThan(24);
});

/** A client that is linked to server "a" and has written a page to it. */
async function linkedClient(dataPort: DataPort, refusedMeansDeadMs?: number) {
  const client = new TestClient();
  const dialled = dialer(client, refusedMeansDeadMs);
  dialled.add(identityOf("a"), at(dataPort.address.port, "a"));
  await until(() => dialled.linked("server") === 1);
  expect(dialled.linked("parity")).toBe(0);
  const written = client.write(0, pageOf(1));
  client.core.flush(client.nowMs);
  await until(() => written.done);
  return { client, dialled };
}

/** A server with a page of the client, whose process ends: its machine refuses connections. */
async function deadServer(refusedMeansDeadMs: number) {
  const dataPort = await listening("a");
  const { port } = dataPort.address;
  const { client, dialled } = await linkedClient(dataPort, refusedMeansDeadMs);
  dataPort.close();
  await until(() => client.core.table.upCount === 0);
  return { client, dialled, port, read: client.read(0) };
}

test("a server whose address refuses connections for long, and that nobody hears of, is lost", async () => {
  const { client, dialled, port, read } = await deadServer(300);
  dialled.unheard(identityOf("a"));
  await until(() => read.done);
  expect(read.result).toBe(PageResult.LOST);
  expect(client.notices.join("\n")).toContain(`nobody listens at 127.0.0.1:${port} any more`);
  // Somebody who is heard of there later on is linked to again.
  await listening("b", "b", port);
  dialled.add(identityOf("b"), at(port, "b"));
  await until(() => client.core.table.upCount === 1);
});

test("while others hear of it, a server that refuses connections is not lost: its pages are waited for", async () => {
  const { client, dialled, read } = await deadServer(300);
  await new Promise((done) => setTimeout(done, 1_200));
  expect(read.done).toBe(false);
  expect(client.core.counters.serversLost).toBe(0);
  // It was refused for long enough already: now nothing speaks for it any more.
  dialled.unheard(identityOf("a"));
  await until(() => read.done);
  expect(read.result).toBe(PageResult.LOST);
});

test("a server that is started anew under its name is known to be gone as soon as the new one answers", async () => {
  const { client, port, read } = await deadServer(60_000);
  await listening("b", "a", port);
  await until(() => read.done);
  expect(read.result).toBe(PageResult.LOST);
  expect(client.notices.join("\n")).toContain(`another process answers at 127.0.0.1:${port}`);
  await until(() => client.core.table.upCount === 1);
});

test("what others say of a server's address does not lose it while its link stands", async () => {
  const dataPort = await listening("a");
  const { port } = dataPort.address;
  const { client, dialled } = await linkedClient(dataPort);
  dialled.add(identityOf("p"), at(port, "p", "parity"));
  dialled.add(identityOf("b"), at(port, "a"));
  dialled.unheard(identityOf("a"));
  dialled.unheard(identityOf("b"));
  await new Promise((done) => setTimeout(done, 200));
  expect(client.core.counters).toMatchObject({ serversLost: 0, linksLost: 0 });
  expect(dialled.linked("server")).toBe(1);
});

test("a false word of another role at a server's address does not keep a lost link from being made anew", async () => {
  const dataPort = await listening("a");
  const { port } = dataPort.address;
  const { client, dialled } = await linkedClient(dataPort);
  dialled.add(identityOf("p"), at(port, "p", "parity"));
  dialled.unheard(identityOf("a"));
  dataPort.close();
  await until(() => client.core.table.upCount === 0);
  await new Promise((done) => setTimeout(done, 200));
  await listening("a", "a", port);
  await until(() => client.core.table.upCount === 1);
  expect(client.core.counters.serversLost).toBe(0);
});

test("a server that moved is not lost when another one gets its old address", async () => {
  const before = await listening("a");
  const { port } = before.address;
  const { client, dialled } = await linkedClient(before);
  const after = await listening("a");
  before.close();
  await until(() => client.core.table.upCount === 0);
  dialled.add(identityOf("a"), at(after.address.port, "a"));
  await until(() => client.core.table.upCount === 1);
  // Its namesake, too: the machines were cloned.
  await listening("b", "a", port);
  dialled.add(identityOf("b"), at(port, "a"));
  await until(() => client.core.table.upCount === 2);
  expect(client.core.counters.serversLost).toBe(0);
});

test("a server that moved without a word is not lost to one of another name while others hear of it", async () => {
  const { client, dialled, port, read } = await deadServer(300);
  await listening("b", "b", port);
  await until(() => client.core.table.upCount === 1);
  expect(client.core.counters.serversLost).toBe(0);
  // Now nobody hears of it any more either.
  dialled.unheard(identityOf("a"));
  await until(() => read.done);
  expect(read.result).toBe(PageResult.LOST);
  expect(dialled.linked("server")).toBe(1);
});

test("a server that is said to be elsewhere is followed when its link ends, and looked for where it was", async () => {
  const first = await listening("a");
  const { port } = first.address;
  const { client, dialled } = await linkedClient(first);
  // Nobody is there: it told an address that others do not reach.
  const wrong = await listening("x");
  const elsewhere = wrong.address.port;
  wrong.close();
  dialled.add(identityOf("a"), at(elsewhere, "a"));
  await new Promise((done) => setTimeout(done, 200));
  expect(client.core.counters.linksLost).toBe(0);
  first.close();
  await until(() => client.core.table.upCount === 0);
  await listening("a", "a", port);
  await until(() => client.core.table.upCount === 1);
  expect(client.core.counters.serversLost).toBe(0);
});
