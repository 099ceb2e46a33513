import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArenaBlockPool, type BlockPool, HeapBlockPool } from "../../../src/base/blocks.ts";
import { NswapError } from "../../../src/base/errors.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import { Traffic } from "../../../src/base/traffic.ts";

const BLOCK_BYTES = 64;
const BLOCKS = 8;

function arenaPool(): BlockPool {
  const buffer = new ArrayBuffer(100 + BLOCK_BYTES * BLOCKS);
  return new ArenaBlockPool({
    bytes: new Uint8Array(buffer),
    view: new DataView(buffer),
    start: 100,
    count: BLOCKS,
    blockBytes: BLOCK_BYTES,
  });
}

const pools: [string, () => BlockPool][] = [
  ["ArenaBlockPool", arenaPool],
  ["HeapBlockPool", () => new HeapBlockPool(BLOCKS, BLOCK_BYTES)],
];

/** What is queued, as a driver would write it. */
function drained(queue: OutQueue): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < queue.pieces; i += 1) bytes.push(...queue.piece(i));
  return bytes;
}

type Step =
  | { do: "reserve"; queue: number; length: number }
  | { do: "consume"; queue: number; share: number }
  | { do: "clear"; queue: number };

const queueIndex = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("reserve" as const),
      queue: queueIndex,
      length: fc.nat(BLOCK_BYTES),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("consume" as const),
      queue: queueIndex,
      share: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constant(1)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const), queue: queueIndex }) },
);

describe.each(pools)("OutQueue over %s", (_, makePool) => {
  it("gives the bytes as they were reserved, leaks no block, and says once that it has work", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const pool = makePool();
        const dirty = [0, 0];
        const expectedDirty = [0, 0];
        const models: number[][] = [[], []];
        const queues = [0, 1].map((i) => new OutQueue(pool, () => (dirty[i]! += 1)));
        let next = 0;

        for (const s of steps) {
          const queue = queues[s.queue]!;
          const model = models[s.queue]!;
          if (s.do === "reserve") {
            let at: number;
            try {
              at = queue.reserve(s.length);
            } catch (error) {
              expect((error as NswapError).code).toBe("LIMIT_REACHED");
              expect(pool.taken).toBe(BLOCKS);
              continue;
            }
            if (model.length === 0 && s.length > 0) expectedDirty[s.queue]! += 1;
            for (let i = 0; i < s.length; i += 1) {
              next = (next + 1) % 251;
              if (i % 2 === 0) queue.bytes[at + i] = next;
              else queue.view.setUint8(at + i, next);
              model.push(next);
            }
          } else if (s.do === "consume") {
            const length = Math.floor(s.share * model.length);
            queue.consume(length);
            model.splice(0, length);
          } else {
            queue.clear();
            model.length = 0;
          }
          for (const i of [0, 1]) {
            expect(queues[i]!.queuedBytes).toBe(models[i]!.length);
            expect(drained(queues[i]!)).toEqual(models[i]);
            if (models[i]!.length === 0) expect(queues[i]!.pieces).toBe(0);
          }
          expect(pool.taken).toBe(queues[0]!.pieces + queues[1]!.pieces);
        }
        expect(dirty).toEqual(expectedDirty);
        for (const [i, queue] of queues.entries()) queue.consume(models[i]!.length);
        expect(pool.taken).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it("says LIMIT_REACHED when the pool is empty, and goes on once there is a block again", () => {
    const pool = makePool();
    const full = new OutQueue(pool);
    for (let i = 0; i < BLOCKS; i += 1) full.reserve(BLOCK_BYTES);
    const other = new OutQueue(pool);
    const attempt = () => other.reserve(1);
    expect(attempt).toThrow(NswapError);
    expect(attempt).toThrow(expect.objectContaining({ code: "LIMIT_REACHED" }));
    expect(attempt).toThrow(`all ${BLOCKS} send blocks are in use`);
    expect(other.queuedBytes).toBe(0);
    expect(full.queuedBytes).toBe(BLOCKS * BLOCK_BYTES);
    full.consume(BLOCK_BYTES);
    expect(attempt).not.toThrow();
    expect(other.queuedBytes).toBe(1);
  });

  it("notices a block that is given back twice, before two connections share it", () => {
    const pool = makePool();
    const block = pool.take();
    pool.give(block);
    expect(() => pool.give(block)).toThrow(/given back once/);
    expect(pool.taken).toBe(0);
  });

  it("lends the block that came back last", () => {
    const pool = makePool();
    const [a, b] = [pool.take(), pool.take()];
    pool.give(a);
    pool.give(b);
    expect(pool.take()).toBe(b);
    expect(pool.take()).toBe(a);
  });
});

it("takes no block and wakes nobody for a reservation of nothing", () => {
  const pool = arenaPool();
  let dirty = 0;
  const queue = new OutQueue(pool, () => (dirty += 1));
  queue.reserve(0);
  expect([pool.taken, queue.pieces, dirty]).toEqual([0, 0, 0]);
  queue.reserve(BLOCK_BYTES);
  queue.reserve(0);
  expect([pool.taken, queue.pieces, dirty]).toEqual([1, 1, 1]);
});

it("keeps a reservation in one piece, at the cost of the room before it", () => {
  const queue = new OutQueue(arenaPool());
  queue.reserve(BLOCK_BYTES - 1);
  queue.reserve(2);
  expect(queue.pieces).toBe(2);
  expect([queue.piece(0).length, queue.piece(1).length]).toEqual([BLOCK_BYTES - 1, 2]);
});

it("refuses a reservation longer than a block and the consumption of more than there is", () => {
  const queue = new OutQueue(arenaPool());
  expect(() => queue.reserve(BLOCK_BYTES + 1)).toThrow(/fits a block/);
  queue.reserve(3);
  expect(() => queue.consume(4)).toThrow(/no more is consumed/);
});

it("cuts arena blocks apart and inside their region", () => {
  const pool = arenaPool();
  const blocks = Array.from({ length: BLOCKS }, () => pool.take());
  expect(blocks.map((b) => b.start)).toEqual(blocks.map((_, i) => 100 + i * BLOCK_BYTES));
  expect(() => pool.take()).toThrow(NswapError);
});

it("counts what comes, whether or not it is sent", () => {
  const traffic = new Traffic();
  const queues = [0, 1].map(() => new OutQueue(arenaPool(), undefined, traffic));
  queues[0]!.reserve(10);
  queues[0]!.frameBegun(3);
  queues[1]!.reserve(20);
  queues[1]!.frameBegun(3);
  queues[1]!.frameBegun(4);
  queues[1]!.clear();
  expect([traffic.bytes, traffic.frames[3], traffic.frames[4], traffic.messages]).toEqual([30, 2, 1, 3]);
});
