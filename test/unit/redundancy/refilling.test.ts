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

it("a page without parity takes the place of a dead one; the XOR of others was given up for such places", () => {
  const rig = stuckGroup(3, 10);
  holdBare(rig, 5, "c");
  rig.redundancy.tick(3_000);
  expect(rig.port.operations).toHaveLength(1);
  rig.answer(ResultStatus.OK);
  expect(rig.stateOf(5)).toBe(GroupState.PROTECTED);
  expect(states(rig)).toEqual([GroupState.CLOSING, GroupState.CLOSING]);
});

it("a place was taken whose parity server had no frame, while another had some", () => {
  const rig = stuckGroup(2, 0);
  rig.port.serve("q", "parity").report({ free: 0, limit: 100, used: 90 });
  holdBare(rig, 5, "c");
  rig.redundancy.tick(3_000);
  expect(rig.port.operations).toEqual([]);
});

it("pages that took places of dead ones left no turn to what a loss left to be mended", () => {
  const rig = stuckGroup(4, 20, 10);
  for (const slot of [5, 6, 7, 8]) holdBare(rig, slot, slot % 2 === 0 ? "c" : "d");
  rig.redundancy.tick(3_000);
  const first = rig.port.operations.length;
  for (let index = 0; index < first; index += 1) rig.answer(ResultStatus.OK, index);
  rig.redundancy.tick(3_010);
  expect(rig.port.operations).toHaveLength(first);
  rig.redundancy.tick(4_000);
  expect(rig.port.operations.at(-1)).toMatchObject({ kind: OperationKind.COMPOSE });
  expect(rig.port.operations.length).toBeGreaterThan(first);
});
