import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HOLDERS_MAX, Place, SlotMap } from "../../../src/slots/slot-map.ts";

const SLOTS = 6;

type Meaning =
  | { is: "unmapped" }
  | { is: "lost" }
  | { is: "same"; low: number; high: number }
  | { is: "page"; holder: number; id: number; checksum: number };

const word = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1), fc.nat(2 ** 32 - 1));
const id = fc.oneof(
  fc.constantFrom(1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
);
const holder = fc.oneof(fc.constantFrom(0, HOLDERS_MAX), fc.nat(HOLDERS_MAX));
const meaning: fc.Arbitrary<Meaning> = fc.oneof(
  fc.record({ is: fc.constant("unmapped" as const) }),
  fc.record({ is: fc.constant("lost" as const) }),
  fc.record({ is: fc.constant("same" as const), low: word, high: word }),
  fc.record({ is: fc.constant("page" as const), holder, id, checksum: word }),
);

function set(map: SlotMap, slot: number, to: Meaning): void {
  if (to.is === "unmapped") map.setUnmapped(slot);
  else if (to.is === "lost") map.setLost(slot);
  else if (to.is === "same") map.setSameFilled(slot, to.low, to.high);
  else map.setPage(slot, to.holder, to.id, to.checksum);
}

function get(map: SlotMap, slot: number): Meaning {
  const place = map.place(slot);
  if (place === Place.UNMAPPED) return { is: "unmapped" };
  if (place === Place.LOST) return { is: "lost" };
  if (place === Place.SAME_FILLED) return { is: "same", low: map.wordLow(slot), high: map.wordHigh(slot) };
  const holder = place - Place.FIRST_HOLDER;
  return { is: "page", holder, id: map.pageId(slot), checksum: map.checksum(slot) };
}

describe("SlotMap", () => {
  it("means what was set last, and counts it, as a plain array does", () => {
    const step = fc.tuple(fc.nat(SLOTS - 1), meaning);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const map = new SlotMap(SLOTS);
        const model: Meaning[] = Array.from({ length: SLOTS }, () => ({ is: "unmapped" }));
        for (const [slot, to] of steps) {
          set(map, slot, to);
          model[slot] = to;
          const count = (is: Meaning["is"]) => model.filter((one) => one.is === is).length;
          expect([map.sameFilled, map.onServers, map.lost]).toEqual([
            count("same"),
            count("page"),
            count("lost"),
          ]);
          expect(model.map((_, i) => get(map, i))).toEqual(model);
        }
      }),
    );
  });

  it("takes at most 24 bytes a slot, by its own account and by the process's", () => {
    const slots = 4 * 1024 * 1024;
    const before = process.memoryUsage().arrayBuffers;
    const map = new SlotMap(slots);
    const taken = process.memoryUsage().arrayBuffers - before;
    expect(map.sizeBytes / slots).toBeLessThanOrEqual(24);
    expect(taken / slots).toBeLessThanOrEqual(24);
    expect(map.sizeBytes).toBeGreaterThanOrEqual(taken);
  });

  it("refuses a slot beyond the device, and stays as it was", () => {
    const map = new SlotMap(SLOTS);
    for (const slot of [-1, SLOTS, 2 ** 32]) {
      expect(() => map.setPage(slot, 0, 1, 1)).toThrow(/on the device/);
      expect(() => map.setSameFilled(slot, 1, 1)).toThrow(/on the device/);
    }
    expect([map.onServers, map.sameFilled, map.lost]).toEqual([0, 0, 0]);
  });
});
