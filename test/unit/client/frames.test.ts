import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena } from "../../../src/base/arena.ts";
import { PAGE_BYTES } from "../../../src/base/page.ts";
import { FrameQueue } from "../../../src/client/frame-queue.ts";
import { FrameTable, NO_FRAME } from "../../../src/client/frame-table.ts";

const waiter = { pageDone() {} };
const tableOf = (count: number): FrameTable => new FrameTable(new Arena((count + 1) * PAGE_BYTES), count);

describe("FrameTable", () => {
  it("lends each frame once, with a page of its own", () => {
    const arena = new Arena(8 * PAGE_BYTES);
    arena.allocate(1);
    const frames = new FrameTable(arena, 5);
    const taken = [10, 11, 12, 13, 14].map((slot) => frames.take(slot, waiter));
    expect(new Set(taken).size).toBe(5);
    expect([frames.used, frames.free]).toEqual([5, 0]);
    expect(taken.map((frame) => frames.slot[frame])).toEqual([10, 11, 12, 13, 14]);
    const addresses = taken.map((frame) => frames.address(frame)).sort((a, b) => a - b);
    expect(addresses).toEqual([1, 2, 3, 4, 5].map((page) => page * PAGE_BYTES));
    expect(() => frames.take(15, waiter)).toThrow(/admission leaves a frame/);
  });

  it("takes a frame back once", () => {
    const frames = tableOf(2);
    const frame = frames.take(1, waiter);
    frames.give(frame);
    expect(() => frames.give(frame)).toThrow(/given back once/);
    expect([frames.used, frames.free]).toEqual([0, 2]);
  });

  it("lends the last given first, and nothing of its past with it", () => {
    const frames = tableOf(4);
    frames.take(1, waiter);
    const frame = frames.take(2, waiter);
    frames.take(3, waiter);
    frames.next[frame] = 3;
    frames.requestNext[frame] = 3;
    frames.older[frame] = 3;
    frames.stale[frame] = 1;
    frames.attempts[frame] = 2;
    frames.placedOn[frame] = 5;
    frames.give(frame);
    expect(frames.take(4, waiter)).toBe(frame);
    const { next, requestNext, older, placedOn, stale, attempts } = frames;
    expect([next, requestNext, older, placedOn].map((column) => column[frame])).toEqual(
      Array(4).fill(NO_FRAME),
    );
    expect([stale[frame], attempts[frame]]).toEqual([0, 0]);
  });
});

describe("FrameQueue", () => {
  it("is first in, first out, as an array is", () => {
    const step = fc.oneof(fc.constant("shift" as const), fc.constant("push" as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const frames = tableOf(8);
        const queue = new FrameQueue(frames);
        const model: number[] = [];
        for (const what of steps) {
          if (what === "shift") {
            const frame = queue.shift();
            expect(frame).toBe(model.shift() ?? NO_FRAME);
            if (frame !== NO_FRAME) frames.give(frame);
          } else if (frames.free > 0) {
            const frame = frames.take(0, waiter);
            queue.push(frame);
            model.push(frame);
          }
          expect([queue.length, queue.head]).toEqual([model.length, model[0] ?? NO_FRAME]);
          const linked: number[] = [];
          for (let frame = queue.head; frame !== NO_FRAME; frame = frames.next[frame]!) linked.push(frame);
          expect(linked).toEqual(model);
        }
      }),
    );
  });
});
