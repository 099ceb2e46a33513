import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { ParityRig } from "./parity-rig.ts";

describe("memory servers without room, and a parity server that is away", () => {
  let rig: ParityRig;

  beforeEach(() => {
    rig = new ParityRig();
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    rig.redundancy.pageDead(0);
    for (const name of ["a", "b"]) rig.server(name).report({ free: 0, limit: 100, used: 100 });
    rig.goAway("p");
  });

  const live = (seconds: number): void => {
    for (let nowMs = 1_000; nowMs < 1_000 + seconds * 1_000; nowMs += 100) {
      for (const name of ["a", "b"]) rig.server(name).answered(1, nowMs);
      rig.redundancy.tick(nowMs);
    }
  };

  it("gave parity up for room that no page waited for", () => {
    live(60);
    expect(rig.stateOf(1)).toBe(GroupState.PROTECTED);
    expect(rig.port.notices).toEqual([]);
  });

  it("gives it up for a page that waits", () => {
    rig.port.pagesWait = true;
    live(60);
    expect(rig.stateOf(1)).toBe(GroupState.BARE);
  });
});

describe("a parity server that once did not reach a memory server", () => {
  it("was taken for one that never does: groups lost their parity while mending left no turn to reclaim", () => {
    const rig = new ParityRig();
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c");
    const names = ["a", "b", "c"];
    const live = (fromMs: number, seconds: number): void => {
      for (let nowMs = fromMs; nowMs < fromMs + seconds * 1_000; nowMs += 100) {
        for (const name of names) rig.server(name).answered(1, nowMs);
        redundancy.tick(nowMs);
      }
    };
    rig.protectPair(0, 1);
    redundancy.pageDead(0);
    for (const name of names) rig.server(name).report({ free: 0, limit: 100, used: 100 });
    redundancy.tick(1_000);
    rig.answer(ResultStatus.UNREACHABLE);
    for (const name of names) rig.server(name).report({ free: 90, limit: 100, used: 10 });
    for (let slot = 10; slot < 30; slot += 2) rig.protectPair(slot, slot + 1, 30_000, ["b", "c"]);
    rig.die("c");
    names.pop();
    // Operations that mend take their time, and leave none for others.
    redundancy.tick(40_000);
    port.pagesWait = true;
    for (const name of names) rig.server(name).report({ free: 0, limit: 100, used: 100 });
    live(41_000, 30);
    expect(rig.stateOf(1)).toBe(GroupState.PROTECTED);
    expect(port.notices.join()).not.toContain("given up");
  });
});
