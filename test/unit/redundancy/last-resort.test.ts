import { beforeEach, describe, expect, it } from "vitest";
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
