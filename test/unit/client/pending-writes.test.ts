import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena } from "../../../src/base/arena.ts";
import { PAGE_BYTES } from "../../../src/base/page.ts";
import { FrameTable, NO_FRAME } from "../../../src/client/frame-table.ts";
import { PendingWrites } from "../../../src/client/pending-writes.ts";

const FRAMES = 24;
/** More slots than the table has cells, at both ends of what a device can have. */
const SLOTS = [...Array(40).keys()].map((i) => (i < 20 ? i : 2 ** 31 - i));
const waiter = { pageDone() {} };

/** What `PendingWrites` says in plain words: per slot its unheld writes, oldest first; and those overtaken. */
class Model {
  readonly pending = new Map<number, number[]>();
  readonly stale = new Set<number>();

  of(slot: number): number[] {
    return this.pending.get(slot) ?? [];
  }

  push(slot: number, frame: number): void {
    this.pending.set(slot, [...this.of(slot), frame]);
  }

  settle(slot: number, frame: number): void {
    const all = this.of(slot);
    const at = all.indexOf(frame);
    for (const older of all.slice(0, at)) this.stale.add(older);
    this.pending.set(slot, all.slice(at + 1));
  }

  supersede(slot: number): void {
    for (const frame of this.of(slot)) this.stale.add(frame);
    this.pending.delete(slot);
  }
}

type Step =
  | { do: "push"; slot: number }
  | { do: "settle"; pick: number }
  | { do: "drop"; pick: number }
  | { do: "supersede"; slot: number };

const slot = fc.constantFrom(...SLOTS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("push" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("settle" as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("supersede" as const), slot }) },
);

class Run {
  readonly frames = new FrameTable(new Arena((FRAMES + 1) * PAGE_BYTES), FRAMES);
  readonly pending = new PendingWrites(this.frames);
  readonly model = new Model();

  take(one: Step): void {
    const { frames, model, pending } = this;
    if (one.do === "push" && frames.free > 0) {
      const frame = frames.take(one.slot, waiter);
      pending.push(frame);
      model.push(one.slot, frame);
    } else if (one.do === "supersede") {
      pending.supersede(one.slot);
      model.supersede(one.slot);
    } else if (one.do === "settle") {
      const all = [...model.pending.values()].flat();
      if (all.length === 0) return;
      const frame = all[one.pick % all.length]!;
      pending.settle(frame);
      model.settle(frames.slot[frame]!, frame);
      frames.give(frame);
    } else if (one.do === "drop" && model.stale.size > 0) {
      // An overtaken write's frame is given back, and lent for another slot.
      const frame = [...model.stale][one.pick % model.stale.size]!;
      model.stale.delete(frame);
      frames.give(frame);
    }
  }

  check(): void {
    const { frames, model, pending } = this;
    for (const slot of SLOTS) {
      const chain: number[] = [];
      for (let frame = pending.newest(slot); frame !== NO_FRAME; frame = frames.older[frame]!) {
        chain.unshift(frame);
        if (chain.length > FRAMES) expect.unreachable(`the chain of slot ${slot} has no end`);
      }
      expect(chain).toEqual(model.of(slot));
      expect(chain.map((frame) => frames.stale[frame])).toEqual(chain.map(() => 0));
    }
    for (const frame of model.stale) expect(frames.stale[frame]).toBe(1);
  }
}

describe("PendingWrites", () => {
  it("knows the unheld writes of each slot, oldest to newest, as a map of lists does", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const run = new Run();
        for (const one of steps) {
          run.take(one);
          run.check();
        }
      }),
      { numRuns: 150 },
    );
  });

  it("knows nothing of a slot that is not pending, with as many pending as there are frames", () => {
    const run = new Run();
    for (const slot of SLOTS.slice(0, FRAMES)) run.take({ do: "push", slot });
    expect(run.frames.free).toBe(0);
    run.check();
  });
});
