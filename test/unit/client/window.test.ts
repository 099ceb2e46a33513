import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_FRAME } from "../../../src/client/frame-table.ts";
import { Asked, Window } from "../../../src/client/window.ts";

const FRAMES = 7;
const RING = 16;

interface Entry {
  seq: number;
  kind: number;
  head: number;
  count: number;
  sentAtMs: number;
}

type Step = { do: "enter"; kind: number; head: number } | { do: "leave"; pick: number } | { do: "take" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("enter" as const),
      kind: fc.constantFrom(Asked.PUT, Asked.GET),
      head: fc.nat(FRAMES - 1),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("leave" as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("take" as const) }) },
);

class Run {
  readonly window = new Window(FRAMES);
  readonly model: Entry[] = [];
  next = 0;

  take(one: Step): void {
    const { model, window } = this;
    // A link that is out of order is ended: nothing more is entered.
    if (one.do === "enter" && model.length < FRAMES && !window.outOfOrder) {
      const entry = {
        seq: this.next,
        kind: one.kind,
        head: one.head,
        count: one.head + 1,
        sentAtMs: this.next * 3,
      };
      expect(window.enter(entry.kind, entry.head, entry.count, entry.sentAtMs)).toBe(this.next);
      model.push(entry);
      this.next += 1;
    } else if (one.do === "leave" && model.length > 0) {
      const [entry] = model.splice(one.pick % model.length, 1);
      window.leave(entry!.seq);
    } else if (one.do === "take") this.takeOldest();
  }

  takeOldest(): void {
    const oldest = this.model.shift();
    const seen: number[][] = [];
    expect(this.window.takeOldest((kind, head) => seen.push([kind, head]))).toBe(oldest !== undefined);
    expect(seen).toEqual(oldest === undefined ? [] : [[oldest.kind, oldest.head]]);
  }

  check(): void {
    const { model, window } = this;
    expect(window.outstanding).toBe(model.length);
    for (const { seq, kind, head, count, sentAtMs } of model) {
      expect([window.head(seq), window.count(seq), window.sentAtMs(seq)]).toEqual([head, count, sentAtMs]);
      expect(window.has(kind, seq)).toBe(true);
    }
    for (let seq = Math.max(0, this.next - 3 * RING); seq < this.next + 2 * RING; seq += 1) {
      for (const kind of [Asked.PUT, Asked.GET]) {
        const outstanding = model.some((entry) => entry.seq === seq && entry.kind === kind);
        if (window.has(kind, seq) !== outstanding) expect.unreachable(`${seq} of kind ${kind}`);
      }
    }
    const span = model.length === 0 ? 0 : this.next - model[0]!.seq;
    expect(window.outOfOrder).toBe(span > RING / 2);
  }
}

describe("Window", () => {
  it("keeps what is outstanding by sequence number, as a list does", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const run = new Run();
        for (const one of steps) {
          run.take(one);
          run.check();
        }
        while (run.model.length > 0) run.takeOldest();
        expect(run.window.takeOldest(() => expect.unreachable())).toBe(false);
        run.check();
      }),
      { numRuns: 100 },
    );
  });

  it("says when one request stays unanswered while many later ones are answered", () => {
    const window = new Window(FRAMES);
    window.enter(Asked.GET, 0, 1, 0);
    let answered = 0;
    while (!window.outOfOrder) {
      window.leave(window.enter(Asked.PUT, 1, 1, 0));
      answered += 1;
      expect(answered).toBeLessThan(RING);
    }
    expect(window.has(Asked.GET, 0)).toBe(true);
    window.leave(0);
    expect(window.outOfOrder).toBe(false);
  });

  it("has nothing at first, not even number 0", () => {
    const window = new Window(FRAMES);
    expect(window.has(Asked.PUT, 0)).toBe(false);
    expect(window.has(Asked.GET, 0)).toBe(false);
    expect(window.head(0)).toBe(NO_FRAME);
  });

  it("is crowded by one request that is not answered, well before that counts as out of order", () => {
    const window = new Window(FRAMES);
    window.enter(Asked.OPERATION, 0, 1, 0);
    for (let others = 0; !window.crowded; others += 1) {
      expect(others).toBeLessThan(RING / 2);
      window.leave(window.enter(Asked.GET, 1, 1, 0));
    }
    window.leave(window.enter(Asked.GET, 1, 1, 0));
    expect(window.outOfOrder).toBe(false);
    window.leave(0);
    expect(window.crowded).toBe(false);
  });
});
