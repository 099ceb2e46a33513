import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { ParityRig } from "./parity-rig.ts";

/** Half of the slots have pages on the server that cannot be reached. */
const HALF = 30;
const PAUSE_MS = 100;

describe("a parity server that cannot reach one of the memory servers", () => {
  let rig: ParityRig;
  let asked: number;

  beforeEach(() => {
    rig = new ParityRig();
    rig.serve("a", "b", "c", "d");
    asked = 0;
  });

  /** Ticks every millisecond; operations that need a page of a slot from `unreachable` on cannot be done. */
  const live = (fromMs: number, ms: number, unreachable: number): number => {
    const { port, redundancy } = rig;
    let failed = 0;
    for (let nowMs = fromMs; nowMs < fromMs + ms; nowMs += 1) {
      redundancy.tick(nowMs);
      for (; asked < port.operations.length; asked += 1) {
        const isFailure = port.operations[asked]!.sources.some((id) => id >= 100 + unreachable && id < 1_000);
        if (isFailure) failed += 1;
        rig.answer(isFailure ? ResultStatus.UNREACHABLE : ResultStatus.OK, asked);
      }
    }
    return failed;
  };

  it("groups that need that one held all others up, 0.2 s for each failure", () => {
    for (let slot = 0; slot < HALF; slot += 2) {
      rig.protectPair(slot, slot + 1, slot, ["a", "b"]);
      rig.protectPair(HALF + slot, HALF + slot + 1, slot, ["a", "c"]);
    }
    rig.die("a");
    live(5_000, 3 * PAUSE_MS, HALF);
    expect(rig.unprotected).toBe(HALF);
    expect(rig.port.lost).toEqual([]);
  });

  it("a group that needs it is tried again once a pause, however many there are", () => {
    rig.protectPair(HALF, HALF + 1);
    rig.die("a");
    expect(live(5_000, 10 * PAUSE_MS, HALF)).toBeLessThanOrEqual(11);
    for (let slot = 2; slot < HALF; slot += 2)
      rig.protectPair(HALF + slot, HALF + slot + 1, 6_000, ["b", "c"]);
    rig.die("c");
    const groups = HALF / 2;
    expect(live(10_000, 10 * PAUSE_MS, HALF)).toBeLessThanOrEqual(11 * groups);
    live(20_000, 10 * PAUSE_MS, 1_000);
    expect(rig.unprotected).toBe(0);
    expect(rig.port.lost).toEqual([]);
  });
});
