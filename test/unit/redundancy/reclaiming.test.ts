import { expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { ParityRig } from "./parity-rig.ts";

it("a parity server whose link takes nothing kept dead pages in the groups of all others", () => {
  const rig = new ParityRig();
  rig.serve("a", "b");
  for (let slot = 0; slot < 20; slot += 2) rig.protectPair(slot, slot + 1, slot);
  rig.port.busy.add(rig.server("p").index);
  rig.port.serve("q", "parity", 1_000);
  for (let slot = 20; slot < 60; slot += 2) rig.protectPair(slot, slot + 1, slot);
  for (let slot = 0; slot < 60; slot += 2) rig.redundancy.pageDead(slot);
  for (const name of ["a", "b"]) rig.server(name).report({ free: 1, limit: 100, used: 99 });
  let asked = 0;
  for (let nowMs = 2_000; nowMs < 12_000; nowMs += 10) {
    rig.redundancy.tick(nowMs);
    for (; asked < rig.port.operations.length; asked += 1) rig.answer(ResultStatus.OK, asked);
  }
  // Those of the groups of p.
  expect(rig.redundancy.figures().dead).toBe(10);
});
