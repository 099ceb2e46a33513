import { readFileSync } from "node:fs";
import net from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { Block } from "../../../src/base/blocks.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { NbdListener } from "../../../src/io/nbd-listener.ts";
import { receiveRegionIn } from "../../../src/io/receive-region.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";
import { TestClient } from "../../support/cores.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
  vi.restoreAllMocks();
});

async function listener(client: TestClient): Promise<NbdListener> {
  const made = await NbdListener.start(
    { host: "127.0.0.1", port: 0 },
    {
      front: client.front,
      region: receiveRegionIn(client.arena.bytes, client.region),
      sendPool: client.nbdPool,
      carryPool: new HeapBlockPool(4, limits.receiveBytesMax),
      flusher: new TurnFlusher({ beforeFlush: () => client.turn() }),
      nowMs: () => performance.now(),
      notice: client.notice,
    },
  );
  ends.push(() => made.close());
  return made;
}

/** Bytes that a new connection is greeted with, until it is closed or has all 18. */
function greeting(at: NbdListener): Promise<number> {
  return new Promise((resolve) => {
    let got = 0;
    const socket = net.connect((at.address as net.AddressInfo).port, "127.0.0.1");
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
