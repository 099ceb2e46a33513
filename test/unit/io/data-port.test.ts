import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { FrameType, WireError } from "../../../proto/peer/index.ts";
import { limits } from "../../../src/base/limits.ts";
import { DataPort, newDataPool } from "../../../src/io/data-port.ts";
import { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { pageOf, passTime, SocketClient } from "../server/test-client.ts";

const ids = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
const clean: (() => void)[] = [];
afterEach(() => {
  for (const end of clean.splice(0).reverse()) end();
});

async function startPort(
  connectionsMax = 8,
  handshakesMax = 8,
): Promise<{ port: DataPort; core: MemoryServerCore }> {
  const pool = newDataPool();
  const core = new MemoryServerCore({
    identity: new Uint8Array(16).fill(1),
    name: "s",
    capacityFrames: 4096,
    nonce: () => new Uint8Array(32),
    hashSeed: 5,
    blocks: { pool, soft: limits.dataBlocksSoft, max: limits.dataBlocksMax },
  });
  const onError = (error: Error): never => {
    throw error;
  };
  const port = await DataPort.start(
    { host: "127.0.0.1", port: 0 },
    { core, sendPool: pool, onError, connectionsMax, handshakesMax },
  );
  clean.push(() => port.close());
  return { port, core };
}

async function connect(port: DataPort, identity = 1): Promise<SocketClient> {
  const socket = net.connect(port.address);
  clean.push(() => socket.destroy());
  return new SocketClient(socket, { identity });
}

/** As a client that dials again when its connection ends. */
async function enterSomeTime(port: DataPort, identity: number): Promise<SocketClient> {
  for (let tries = 0; tries < 50; tries += 1) {
    const client = await connect(port, identity);
    const isIn = await Promise.race([client.enter().then(() => true), client.ended.then(() => false)]);
    if (isIn) return client;
  }
  throw new Error("does not get in");
}

/** Waits until it holds; the test's own time limit ends a wait in vain. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("DataPort", () => {
  it("keeps pages over TCP, many frames in flight", async () => {
    const { port, core } = await startPort();
    const client = await connect(port);
    await client.enter();
    for (let i = 0; i < 32; i += 1) client.script.put(ids(i * 64, 64));
    for (let i = 0; i < 32; i += 1) client.script.get(ids(i * 64, 64));
    client.send();
    const answers = await client.answers(
      (got) => got.filter((a) => a.type === FrameType.PAGES).length === 32,
    );
    expect(answers.flatMap((answer) => answer.acks).every((ack) => ack.status === 0)).toBe(true);
    const pages = answers.filter((answer) => answer.type === FrameType.PAGES);
    pages.forEach((answer, i) => {
      answer.pages.forEach((page, j) => {
        expect(Buffer.compare(page, pageOf(i * 64 + j))).toBe(0);
      });
      expect(answer.pages.size).toBe(64);
    });
    core.check();
  });

  it("leaves a client unread that does not read, serves others, and goes on with it later", async () => {
    const { port, core } = await startPort();
    const slow = await connect(port);
    await slow.enter();
    slow.script.put(ids(0, 64));
    await slow.sendAndWait(1);
    slow.socket.pause();
    const requests = 400;
    for (let i = 0; i < requests; i += 1) slow.script.get(ids(0, 64));
    slow.send();
    // The kernel's buffers fill, then the queue, and then no request more is taken.
    let before = -1;
    await until(() => {
      const gets = core.snapshot().counters.gets;
      const still = gets > 0 && gets === before;
      before = gets;
      return still;
    });
    const other = await connect(port, 2);
    await other.enter();
    other.script.put([7]).get([7]);
    const pages = (await other.sendAndWait(2)).find((answer) => answer.type === FrameType.PAGES);
    expect(Buffer.compare(pages!.pages.get(0)!, pageOf(7))).toBe(0);
    slow.socket.resume();
    const answers = await slow.answers((got) => got.length === requests);
    expect(answers.every((answer) => answer.pages.size === 64)).toBe(true);
    expect(core.snapshot().counters.gets).toBe(requests * 64 + 1);
  });

  it("tells one connection too many so, and serves again when there is room", async () => {
    const { port, core } = await startPort(2);
    const [a, b] = [await connect(port), await connect(port)];
    await a.enter();
    await b.enter();
    const c = await connect(port);
    const [error] = await c.answers((got) => got.length === 1);
    expect(error).toMatchObject({ type: FrameType.ERROR, aux: WireError.TOO_MANY_CONNECTIONS });
    await c.ended;
    b.socket.destroy();
    await until(() => port.connections === 1);
    expect(core.snapshot().connections).toBe(1);
    await (await connect(port)).enter();
  });

  it("takes clients in while connections that say nothing come and come, and keeps those that it has", async () => {
    const { port, core } = await startPort(4, 8);
    const early = await connect(port);
    await early.enter();
    let floods = 0;
    let isOver = false;
    clean.push(() => {
      isOver = true;
    });
    const flood = (): void => {
      if (isOver) return;
      floods += 1;
      const silent = net.connect(port.address);
      clean.push(() => silent.destroy());
      silent.on("error", () => {}).on("close", flood);
    };
    for (let i = 0; i < 40; i += 1) flood();
    await until(() => floods > 60);
    const late = await enterSomeTime(port, 2);
    for (const [i, client] of [early, late].entries()) {
      client.script.put([i]);
      expect((await client.sendAndWait(1))[0]!.acks).toMatchObject([{ accepted: 1 }]);
    }
    expect(port.connections).toBeLessThanOrEqual(2 + 8);
    expect(core.snapshot().clients).toHaveLength(2);
  });

  it("takes no more clients than it may when more than that say who they are at a time", async () => {
    const { port } = await startPort(2);
    const clients = [await connect(port), await connect(port), await connect(port)];
    await until(() => port.connections === 3);
    const [a, b, c] = clients;
    await a!.enter();
    await b!.enter();
    c!.script.hello();
    c!.send();
    const answers = await c!.answers((got) => got.some(({ type }) => type === FrameType.ERROR));
    expect(answers.at(-1)).toMatchObject({ type: FrameType.ERROR, aux: WireError.TOO_MANY_CONNECTIONS });
    await c!.ended;
    await until(() => port.connections === 2);
  });

  it("says why before it closes on a broken protocol, and lives on after resets and noise", async () => {
    const { port, core } = await startPort();
    const bad = await connect(port);
    bad.socket.write(Buffer.alloc(100_000, 0xee));
    const [error] = await bad.answers((got) => got.length === 1);
    expect(error).toMatchObject({ type: FrameType.ERROR, aux: WireError.PROTOCOL });
    await bad.ended;
    const reset = await connect(port);
    await reset.enter();
    reset.script.put(ids(0, 64));
    reset.socket.write(reset.script.script.take().subarray(0, 150_000));
    reset.socket.resetAndDestroy();
    const good = await connect(port);
    await good.enter();
    good.script.put([1]);
    await good.sendAndWait(1);
    await until(() => core.snapshot().connections === 1);
    core.check();
  });

  it("closes after GOODBYE, and by the clock", async () => {
    const { port, core } = await startPort();
    const leaving = await connect(port);
    await leaving.enter();
    leaving.script.put(ids(0, 10)).bare(FrameType.GOODBYE);
    leaving.send();
    await leaving.ended;
    port.tick(1000);
    expect(core.capacity.used).toBe(0);
    const silent = await connect(port);
    await until(() => core.snapshot().connections === 1);
    passTime((now) => port.tick(now), 1000, 2000 + limits.handshakeMsMax);
    const [error] = await silent.answers((got) => got.length === 1);
    expect(error).toMatchObject({ type: FrameType.ERROR, aux: WireError.TIMEOUT });
    await silent.ended;
  });

  it("names an address that is in use", async () => {
    const { port } = await startPort();
    const pool = newDataPool();
    const core = new MemoryServerCore({
      identity: new Uint8Array(16),
      name: "t",
      capacityFrames: 1,
      nonce: () => new Uint8Array(32),
      hashSeed: 1,
    });
    await expect(
      DataPort.start(port.address, { core, sendPool: pool, onError: () => {} }),
    ).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
      message: expect.stringContaining(String(port.address.port)),
    });
  });
});
