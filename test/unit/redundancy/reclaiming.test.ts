import { expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { OperationKind } from "./fake-port.ts";
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

/** Four groups of two, each with a dead page, and a parity server with so many frames left, all for COMPOSE. */
function shortOfRoom(frames: number): ParityRig {
  const rig = new ParityRig();
  rig.serve("a", "b");
  for (let slot = 0; slot < 8; slot += 2) rig.protectPair(slot, slot + 1);
  for (const slot of [1, 2, 5, 6]) rig.redundancy.pageDead(slot);
  rig.server("p").report({ free: 0, limit: 100, used: 100 - frames });
  return rig;
}

it("more groups were merged at a time than there were frames for", () => {
  const rig = shortOfRoom(1);
  rig.redundancy.tick(1_000);
  expect(rig.port.operations).toHaveLength(1);
  rig.answer(ResultStatus.OK);
  rig.redundancy.tick(1_100);
  expect(rig.port.operations).toHaveLength(2);
});

it("a page found no parity, where there was room, for a while after a merge that found no frame", () => {
  const rig = shortOfRoom(1);
  rig.redundancy.tick(1_000);
  rig.answer(ResultStatus.FULL);
  rig.server("p").report({ free: 10, limit: 100, used: 90 });
  rig.port.serve("c");
  const accumulators = Array.from({ length: 4 }, () => rig.port.takeAccumulator());
  rig.hold(8, "c");
  for (const one of accumulators) rig.port.giveAccumulator(one);
  expect(rig.unprotected).toBe(1);
  rig.redundancy.tick(1_010);
  expect(rig.port.operations.at(-1)).toMatchObject({ sources: [108] });
});

it("pages of groups that wait counted as protected while there was a frame for one of them", () => {
  const rig = new ParityRig();
  rig.serve("a", "b");
  const p = rig.server("p");
  rig.port.busy.add(p.index);
  p.report({ free: 1, limit: 100, used: 99 });
  for (let slot = 0; slot < 4; slot += 1) rig.hold(slot, slot % 2 === 0 ? "a" : "b");
  rig.redundancy.tick(1_000);
  expect(rig.unprotected).toBe(4);
  p.report({ free: 2, limit: 100, used: 98 });
  expect(rig.unprotected).toBe(0);
});

it("a page that was made anew and found no room held up the reclaiming that makes room", () => {
  const rig = new ParityRig();
  rig.serve("a", "b", "c");
  rig.protectPair(0, 1, 0, ["a", "b"]);
  for (let slot = 2; slot < 10; slot += 2) rig.protectPair(slot, slot + 1, slot, ["b", "c"]);
  for (let slot = 2; slot < 10; slot += 2) rig.redundancy.pageDead(slot);
  rig.redundancy.tick(1_000);
  rig.die("a");
  for (const nowMs of [2_000, 3_000]) rig.redundancy.tick(nowMs);
  expect(rig.port.operations).toMatchObject([{ kind: OperationKind.REBUILD }]);
  for (const name of ["b", "c"]) rig.server(name).report({ free: 0, limit: 100, used: 100 });
  rig.answer(ResultStatus.FULL);
  rig.redundancy.tick(3_010);
  expect(rig.port.operations[1]).toMatchObject({ kind: OperationKind.COMPOSE });
});
