import { expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { OperationKind } from "./fake-port.ts";
import { ParityRig } from "./parity-rig.ts";

const SERVERS = ["a", "b", "c", "d"];

/**
 * Groups with a place each, and a closed one of slots 2 and 3 that no parity server takes, for a while. The parity
 * server of all groups has so many frames left, all for COMPOSE.
 */
function stuckGroup(places: number, frames: number, pagesPerSecond?: number): ParityRig {
  const rig = new ParityRig(pagesPerSecond === undefined ? {} : { pagesPerSecond });
  rig.serve(...SERVERS);
  for (let i = 1; i <= places; i += 1) rig.protectPair(10 * i, 10 * i + 1);
  for (let i = 1; i <= places; i += 1) rig.redundancy.pageDead(10 * i);
  rig.server("p").report({ free: 0, limit: 100, used: 100 - frames });
  rig.hold(2, "c");
  rig.hold(3, "d");
  rig.redundancy.tick(1_000);
  for (const name of SERVERS) rig.server(name).answered(1, 2_000);
  return rig;
}

/** There is no accumulator for the page. */
function holdBare(rig: ParityRig, slot: number, server: string): void {
  const accumulators = Array.from({ length: rig.port.accumulatorsLeft }, () => rig.port.takeAccumulator());
  rig.hold(slot, server);
  for (const one of accumulators) rig.port.giveAccumulator(one);
}

const states = (rig: ParityRig): number[] => [2, 3].map((slot) => rig.stateOf(slot));

it("the XOR of pages was given up for places whose parity server had no frame, while another had some", () => {
  const rig = stuckGroup(2, 0);
  rig.port.serve("q", "parity").report({ free: 0, limit: 100, used: 90 });
  rig.redundancy.tick(3_000);
  expect(rig.port.operations).toEqual([]);
  expect(states(rig)).toEqual([GroupState.CLOSING, GroupState.CLOSING]);
});

it("the XOR of two pages was given up where there was a frame left for one of them", () => {
  const rig = stuckGroup(3, 2);
  holdBare(rig, 5, "c");
  rig.redundancy.tick(3_000);
  expect(rig.port.operations).toHaveLength(1);
  expect(states(rig)).toEqual([GroupState.CLOSING, GroupState.CLOSING]);
});

it("the last page of a group whose XOR was given up waited for the others, with nothing that protects it", () => {
  const rig = stuckGroup(2, 2);
  rig.redundancy.tick(3_000);
  expect(rig.port.operations).toHaveLength(2);
  for (const index of [0, 1]) rig.answer(ResultStatus.OK, index);
  expect(states(rig)).toEqual([GroupState.PROTECTED, GroupState.PROTECTED]);
});

it("the XOR of pages is given up for one frame, if there is no more than that", () => {
  const rig = stuckGroup(2, 1);
  rig.redundancy.tick(3_000);
  expect(rig.port.operations).toHaveLength(1);
  expect(states(rig)).toEqual([GroupState.BARE, GroupState.BARE]);
});

it("the XOR of a page was given up that had counted as protected when its server stood last", () => {
  const rig = new ParityRig({ accumulators: 64 });
  rig.serve(...SERVERS);
  for (const slot of [10, 20]) rig.protectPair(slot, slot + 1);
  for (const slot of [10, 20]) rig.redundancy.pageDead(slot);
  const p = rig.server("p");
  p.report({ free: 0, limit: 100, used: 90 });
  rig.hold(2, "c");
  rig.hold(3, "d");
  rig.redundancy.tick(1_000);
  p.report({ free: 10, limit: 100, used: 80 });
  rig.hold(6, "c");
  rig.hold(7, "d");
  rig.redundancy.flush(1_002);
  expect(rig.unprotected).toBe(0);
  for (const name of SERVERS) rig.server(name).answered(1, 1_002);
  p.report({ free: 0, limit: 100, used: 90 });
  rig.redundancy.flush(1_004);
  expect(rig.port.operations).toEqual([]);
  expect(states(rig)).toEqual([GroupState.CLOSING, GroupState.CLOSING]);
});

it("pages that took places of dead ones left no turn to what a loss left to be mended", () => {
  const rig = stuckGroup(4, 10, 10);
  rig.redundancy.tick(3_000);
  const first = rig.port.operations.length;
  holdBare(rig, 5, "c");
  for (let index = 0; index < first; index += 1) rig.answer(ResultStatus.OK, index);
  rig.redundancy.tick(3_010);
  expect(rig.port.operations).toHaveLength(first);
  rig.redundancy.tick(4_000);
  expect(rig.port.operations.at(-1)).toMatchObject({ kind: OperationKind.COMPOSE });
  expect(rig.port.operations.length).toBeGreaterThan(first);
});
