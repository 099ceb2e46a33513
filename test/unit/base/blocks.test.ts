import { expect, it } from "vitest";
import { HeapBlockPool } from "../../../src/base/blocks.ts";

it("blocks made beforehand are the ones that are lent, and count as free", () => {
  const pool = new HeapBlockPool(3, 4096);
  const made = pool.prepare(2);
  expect([made.map(({ length }) => length), pool.taken, pool.left]).toEqual([[4096, 4096], 0, 3]);
  const lent = [pool.take(), pool.take()];
  expect(new Set(lent.map((block) => block.bytes))).toEqual(new Set(made));
  expect(pool.prepare(9)).toHaveLength(1);
  pool.take();
  expect(() => pool.take()).toThrow("all 3 send blocks are in use");
  for (const block of lent) pool.give(block);
  expect(pool.taken).toBe(1);
});
