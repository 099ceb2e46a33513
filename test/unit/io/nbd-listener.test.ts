import { once } from "node:events";
import type fs from "node:fs";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import type { Block } from "../../../src/base/blocks.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { type NbdAddress, NbdListener } from "../../../src/io/nbd-listener.ts";
import { receiveRegionIn } from "../../../src/io/receive-region.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";
import { memoryServer, nbdRequest, pageOf, TestClient } from "../../support/cores.ts";
import { NbdPipe } from "../../support/nbd-pipe.ts";
import { nbd, type RawAddress, RawNbd } from "../../support/raw-nbd.ts";
import { Scratch } from "../../support/scratch.ts";

vi.mock("node:fs", async (original) => {
  const real = await original<typeof fs>();
  return { ...real, readFileSync: vi.fn(real.readFileSync) };
});

/** How often the table of TCP connections was read. */
const tableReads = (): number =>
  vi.mocked(readFileSync).mock.calls.filter(([path]) => path === "/proc/self/net/tcp").length;

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
  vi.restoreAllMocks();
});

interface ListenerOptions {
  address?: NbdAddress;
  /** Has a block taken for each connection that is stalled. */
  carryPool?: HeapBlockPool;
}

const newCarryPool = () => new HeapBlockPool(4, limits.receiveBytesMax);

async function listener(client: TestClient, options: ListenerOptions = {}): Promise<NbdListener> {
  const { address = { host: "127.0.0.1", port: 0 }, carryPool = newCarryPool() } = options;
  const made = await NbdListener.start(address, {
    front: client.front,
    region: receiveRegionIn(client.arena.bytes, client.region),
    sendPool: client.nbdPool,
    carryPool,
    flusher: new TurnFlusher({ beforeFlush: () => client.turn() }),
    nowMs: () => performance.now(),
    notice: client.notice,
  });
  ends.push(() => made.close());
  return made;
}

/** Bytes that a new connection is greeted with, until it is closed or has all 18. */
function greeting(at: NbdListener): Promise<number> {
  return new Promise((resolve) => {
    let got = 0;
    const { address } = at;
    const to = typeof address === "string" ? { path: address } : { port: address.port, host: "127.0.0.1" };
    const socket = net.connect(to);
    ends.push(() => socket.destroy());
    socket.on("data", (chunk) => {
      got += chunk.length;
      if (got >= 18) resolve(got);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(got));
  });
}

test("a client comes while no queue can take a greeting: it is turned away, and the next one is served", async () => {
  const client = new TestClient();
  const at = await listener(client);
  const blocks: Block[] = [];
  for (let i = 0; i < limits.nbdBlocks; i += 1) blocks.push(client.nbdPool.take());
  expect(await greeting(at)).toBe(0);
  expect(client.front.connections).toBe(0);
  for (const block of blocks) client.nbdPool.give(block);
  expect(await greeting(at)).toBe(18);
});

test("clients whose sessions are over keep their ends open: their sockets count as connections too", async () => {
  const client = new TestClient();
  const path = socketPath();
  const at = await listener(client, { address: { path } });
  const hangOn = async (): Promise<void> => {
    const socket = net.connect({ path, allowHalfOpen: true });
    ends.push(() => socket.destroy());
    // No flags that any client has.
    socket.write(Buffer.alloc(4, 0xff));
    socket.resume();
    await once(socket, "end");
  };
  await Promise.all(Array.from({ length: limits.nbdConnectionsMax }, hangOn));
  expect(client.front.connections).toBe(0);
  expect(await greeting(at)).toBe(0);
});

test("accepting fails again and again, as it does without memory: it is said, and the listener stays", async () => {
  const made = vi.spyOn(net, "createServer");
  const client = new TestClient();
  const at = await listener(client);
  const server = made.mock.results[0]!.value as net.Server;
  for (let i = 0; i < 3; i += 1) server.emit("error", new Error("accept ENOMEM"));
  expect(client.notices.filter((text) => text.includes("ENOMEM")).length).toBeGreaterThan(0);
  expect(await greeting(at)).toBe(18);
});

/** The timer of a connection's end that is bound to a port of 127.0.0.1, as Linux tells: 02 is keep-alive. */
function timerOf(localPort: number, remotePort: number): string | undefined {
  const hex = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const row = rows.find((line) => line.includes(` ${hex(localPort)} ${hex(remotePort)} `));
  return row?.trim().split(/\s+/)[5]?.slice(0, 2);
}

test("a gateway's client vanishes without a word: its connection is probed, not kept for ever", async () => {
  const client = new TestClient();
  const { port } = (await listener(client)).address as net.AddressInfo;
  const socket = net.connect(port, "127.0.0.1");
  ends.push(() => socket.destroy());
  await new Promise((resolve) => socket.once("data", resolve));
  await expect.poll(() => timerOf(port, socket.localPort!)).toBe("02");
});

function socketPath(): string {
  const scratch = new Scratch();
  ends.push(() => scratch.remove());
  return scratch.file("nbd.sock");
}

const write = (slot: number, payload: Buffer) => ({
  ...{ command: nbd.command.write, offset: slot * 4096, length: payload.length, payload },
});

/** A client of which one page of eight is never sent, and another that hung up while its write of eight waited. */
async function goneWhileWaiting(at: RawAddress, carryPool: HeapBlockPool): Promise<RawNbd> {
  const slow = await RawNbd.ready(at);
  slow.write(nbdRequest(nbd.command.write, 63 * 4096, 4096));
  const gone = await NbdPipe.connect(at);
  gone.request(write(0, Buffer.alloc(8 * 4096, "gone"))).catch(() => {});
  await expect.poll(() => carryPool.taken).toBe(1);
  gone.close();
  return slow;
}

/** Listens on a Unix socket, or on TCP; gives where. */
async function listening(kind: string, client: TestClient, carryPool: HeapBlockPool): Promise<RawAddress> {
  const address = kind === "TCP" ? { host: "127.0.0.1", port: 0 } : { path: socketPath() };
  const { address: at } = await listener(client, { address, carryPool });
  return typeof at === "string" ? { path: at } : { host: "127.0.0.1", port: at.port };
}

const kinds = ["a Unix socket", "TCP"];

test.each(kinds)(
  "a client of %s hangs up while its request waits: it is not done after later ones",
  async (kind) => {
    const client = new TestClient({ frames: 8 });
    client.join(memoryServer("a"));
    const carryPool = newCarryPool();
    const at = await listening(kind, client, carryPool);
    const slow = await goneWhileWaiting(at, carryPool);
    const next = await NbdPipe.connect(at);
    const page = Buffer.from(pageOf(1));
    const written = next.request(write(3, page));
    const pumping = setInterval(() => {
      // The line has been kept to for long enough: whoever finds room may pass.
      client.front.admission.tick(limits.nbdLineKeptMs);
      client.pump();
    }, 1);
    ends.push(() => clearInterval(pumping));
    await written;
    slow.close();
    await expect.poll(() => client.front.connections).toBe(1);
    const { data } = await next.request({ command: nbd.command.read, offset: 3 * 4096, length: 4096 });
    expect(data.equals(page)).toBe(true);
  },
);

test.each(kinds)(
  "a client of %s hangs up while it waits for room that nobody makes: that is noticed",
  async (kind) => {
    const client = new TestClient({ frames: 8 });
    const carryPool = newCarryPool();
    await goneWhileWaiting(await listening(kind, client, carryPool), carryPool);
    const left = () => {
      client.front.tick(0);
      return client.front.connections;
    };
    // Of TCP the system is not asked before long.
    await expect.poll(left, { timeout: 5 * limits.stalledMsBeforeLook }).toBe(1);
  },
);

test("many clients were stalled: the table of all connections was read for each, and nothing else done", async () => {
  const client = new TestClient({ frames: 8 });
  const carryPool = newCarryPool();
  const at = await listening("TCP", client, carryPool);
  const slow = await RawNbd.ready(at);
  slow.write(nbdRequest(nbd.command.write, 63 * 4096, 4096));
  for (let n = 1; n <= 4; n += 1) {
    const stalled = await NbdPipe.connect(at);
    stalled.request(write(8 * n, Buffer.alloc(8 * 4096))).catch(() => {});
  }
  await expect.poll(() => carryPool.taken).toBe(4);
  await setTimeout(limits.stalledMsBeforeLook);
  const before = tableReads();
  client.front.tick(0);
  expect(tableReads() - before).toBe(1);
});

test("DISC came, then the end of all, while requests wait for room that nobody makes: it is forgotten", async () => {
  const client = new TestClient();
  const path = socketPath();
  await listener(client, { address: { path } });
  const leaving = await RawNbd.ready({ path });
  leaving.write(nbdRequest(nbd.command.write, 0, 4096), Buffer.from(pageOf(1)));
  leaving.write(nbdRequest(nbd.command.disconnect, 0, 0));
  leaving.socket.end();
  await once(leaving.socket, "finish");
  await setTimeout(100);
  client.front.tick(0);
  expect(client.front.connections).toBe(1);
  leaving.socket.destroy();
  const left = () => {
    client.front.tick(0);
    return client.front.connections;
  };
  await expect.poll(left).toBe(0);
});

test("DISC came, then the end of what the client sends, as libnbd does it: its requests were dropped", async () => {
  const client = new TestClient();
  client.join(memoryServer("a"));
  const path = socketPath();
  await listener(client, { address: { path } });
  const leaving = await RawNbd.ready({ path });
  const page = Buffer.from(pageOf(1));
  leaving.write(
    nbdRequest(nbd.command.write, 0, 4096),
    page,
    nbdRequest(nbd.command.write, 4096, 4096),
    page,
  );
  leaving.write(nbdRequest(nbd.command.disconnect, 0, 0));
  leaving.socket.end();
  await once(leaving.socket, "finish");
  // Long enough for the end to be seen while both are under way.
  await setTimeout(100);
  const pumping = setInterval(() => client.pump(), 1);
  ends.push(() => clearInterval(pumping));
  const answers = await leaving.read(2 * 16);
  expect([answers.readUInt32BE(4), answers.readUInt32BE(20)]).toEqual([0, 0]);
  await expect.poll(() => leaving.isEnded).toBe(true);
  expect(client.front.connections).toBe(0);
  expect(client.front.requestsInFlight).toBe(0);
});

test("a client hangs up without DISC: it is forgotten at once, what it asked for too", async () => {
  const client = new TestClient();
  client.join(memoryServer("a"));
  const path = socketPath();
  await listener(client, { address: { path } });
  const gone = await RawNbd.ready({ path });
  gone.write(nbdRequest(nbd.command.write, 0, 4096), Buffer.from(pageOf(1)));
  gone.socket.end();
  await expect.poll(() => client.front.connections).toBe(0);
});
