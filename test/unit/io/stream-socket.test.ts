import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { NswapError } from "../../../src/base/errors.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import { adoptRaw, connectRaw } from "../../../src/io/raw-socket.ts";
import { RawWriter } from "../../../src/io/raw-writer.ts";
import { ownReceiveRegion } from "../../../src/io/receive-region.ts";
import { StreamSocket } from "../../../src/io/stream-socket.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";

const BYTES = 3_000_000;
const PIECE = 4_000;
const SHORT = 300;
const LONG = 5_000;
const TURN = 1_000;

/** Collects what comes; takes `most` bytes, then the rest is carried over until a moment later. */
class End {
  readonly pool = new HeapBlockPool(64, 65_536);
  readonly carryPool = new HeapBlockPool(1);
  readonly out: OutQueue;
  readonly socket: StreamSocket;
  readonly came: Buffer[] = [];
  readonly over: Promise<void>;
  length = 0;
  /** What had come when something was sent in the middle of a turn. */
  readonly early: number[] = [];
  #ended!: () => void;

  constructor(plain: boolean, most: number, message: number) {
    const beforeFlush = (isTurnEnd: boolean): void => {
      if (!isTurnEnd) this.early.push(this.length);
    };
    const flusher = new TurnFlusher({ beforeFlush });
    this.over = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.out = new OutQueue(this.pool, () => this.socket.markDirty());
    let room = most;
    const receive = (bytes: Uint8Array, start: number, end: number): number => {
      const take = Math.min(room, end - start);
      room -= take;
      this.came.push(Buffer.from(bytes.subarray(start, start + take)));
      this.length += take;
      if (take < end - start) setTimeout(goOn, 1);
      return take;
    };
    const goOn = (): void => {
      room = most;
      this.socket.resume();
    };
    const end = this;
    const handler = {
      receive,
      get unfinishedBytes() {
        return (message - (end.length % message)) % message;
      },
      drained: () => {},
      ended: () => this.#ended(),
    };
    const { carryPool } = this;
    this.socket = new StreamSocket(this.out, handler, {
      region: ownReceiveRegion(),
      carryPool,
      flusher,
      turnBytes: TURN,
      plain,
    });
  }
}

const open: { destroy(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.destroy();
});

async function pair(plain: boolean, most: number, message = SHORT): Promise<{ a: End; b: End }> {
  const a = new End(plain, Number.POSITIVE_INFINITY, message);
  const b = new End(plain, most, message);
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    b.socket.attach((region, onRead) => adoptRaw(accepted, region, onRead));
  });
  open.push(a.socket, b.socket, { destroy: () => server.close() });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  a.socket.attach((region, onRead) => connectRaw({ host: "127.0.0.1", port }, region, onRead));
  return { a, b };
}

describe.each([{ plain: false }, { plain: true }])("a stream socket (plain: $plain)", ({ plain }) => {
  test.each([{ most: Number.POSITIVE_INFINITY }, { most: 100_000 }])(
    "brings every byte, in order, when $most at most are taken at a time, sends behind messages, and then ends",
    async ({ most }) => {
      const { a, b } = await pair(plain, most);
      const sent = randomBytes(BYTES);
      for (let at = 0; at < BYTES; at += PIECE) {
        const to = a.out.reserve(PIECE);
        a.out.bytes.set(sent.subarray(at, at + PIECE), to);
      }
      a.socket.finish();
      await expect.poll(() => b.length, { timeout: 20_000 }).toBe(BYTES);
      await b.over;
      await a.over;
      expect(Buffer.concat(b.came).equals(sent)).toBe(true);
      expect(b.early.length).toBeGreaterThan(BYTES / (TURN + SHORT) / 4);
      for (const [i, length] of b.early.entries()) {
        expect(length % SHORT).toBe(0);
        expect(length - (b.early[i - 1] ?? 0)).toBeGreaterThanOrEqual(TURN - SHORT);
      }
      expect(a.pool.taken).toBe(0);
      expect(b.carryPool.taken).toBe(0);
    },
  );

  test("sends on behind long messages at the end of a turn alone, but for one that a read has the end of", async () => {
    const { a, b } = await pair(plain, Number.POSITIVE_INFINITY, LONG);
    for (let at = 0; at < BYTES; at += PIECE) a.out.reserve(PIECE);
    a.socket.finish();
    await b.over;
    expect(b.length).toBe(BYTES);
    expect(b.early.length).toBeLessThan(BYTES / LONG / 4);
  });

  test("tells of a peer that resets the connection while bytes are queued", async () => {
    const { a, b } = await pair(plain, Number.POSITIVE_INFINITY);
    a.out.reserve(10);
    await expect.poll(() => b.length, { timeout: 20_000 }).toBe(10);
    b.socket.destroy();
    for (let i = 0; i < 500; i += 1) a.out.reserve(PIECE);
    await a.over;
    expect(a.out.queuedBytes).toBe(0);
    expect(a.pool.taken).toBe(0);
  });
});

/** A socket whose handler throws this; gives what it was read into by hand. */
function failing(error: Error): { read: () => boolean; told: string[] } {
  const told: string[] = [];
  const handler = {
    receive: (): number => {
      throw error;
    },
    drained: () => {},
    ended: (why: Error | undefined) => told.push(`ended: ${why?.message}`),
  };
  const socket = new StreamSocket(new OutQueue(new HeapBlockPool(1)), handler, {
    ...{ region: ownReceiveRegion(), carryPool: new HeapBlockPool(1) },
    flusher: new TurnFlusher({ beforeFlush: () => {} }),
    failed: (why) => told.push(`failed: ${why.message}`),
  });
  let read = (): boolean => true;
  socket.attach((_region, onRead) => {
    read = () => onRead(10);
    return new net.Socket();
  });
  open.push(socket);
  return { read, told };
}

test("a handler that finds no room ends its own connection, not the process", () => {
  const { read, told } = failing(new NswapError("LIMIT_REACHED", "no room"));
  expect(read()).toBe(false);
  expect(told).toEqual(["failed: no room", "ended: no room"]);
});

test("a broken invariant in a handler is not taken for the connection's end", () => {
  const { read, told } = failing(new Error("invariant broken: two and two make four"));
  expect(read).toThrow("invariant broken");
  expect(told).toEqual([]);
});

test("this Node lets handles be written to", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  open.push({ destroy: () => server.close() });
  await once(server, "listening");
  const socket = net.connect({ port: (server.address() as net.AddressInfo).port, host: "127.0.0.1" });
  open.push(socket);
  await once(socket, "connect");
  expect(RawWriter.of(socket)).toBeDefined();
});
