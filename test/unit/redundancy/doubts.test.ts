import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { Rescue } from "../../../src/redundancy/redundancy.ts";
import { OperationKind } from "./fake-port.ts";
import { ParityRig } from "./parity-rig.ts";

describe("pages that are not what they should be", () => {
  let rig: ParityRig;

  beforeEach(() => {
    rig = new ParityRig();
  });

  /** Ticks for so many seconds; operations with the page as a source come out wrong, others right. */
  const live = (seconds: number, rotten: number, fromMs: number): string[][] => {
    const { port, redundancy } = rig;
    const composed: string[][] = [];
    for (let nowMs = fromMs; nowMs < fromMs + seconds * 1000; nowMs += 100) {
      const before = port.operations.length;
      redundancy.tick(nowMs);
      for (const { index, kind, sources } of port.operations.slice(before)) {
        if (kind === OperationKind.COMPOSE) composed.push(sources.map(String));
        redundancy.operationDone(index, sources.includes(rotten) ? ResultStatus.WRONG : ResultStatus.OK, 0);
      }
    }
    return composed;
  };

  it("two pages of a group on one server count as unprotected while the rest is composed", () => {
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    rig.redundancy.tick(1_000);
    expect(rig.unprotected).toBe(0);
    rig.server("a").full = true;
    rig.redundancy.pageWrong(0, 100);
    rig.answer(ResultStatus.OK);
    expect(rig.stateOf(0)).toBe(GroupState.PARTING);
    expect(rig.unprotected).toBe(2);
    expect(rig.redundancy.recovery().state).not.toBe("idle");
  });

  it("a group whose pages must part gave its parity up while as many operations as may be were under way", () => {
    const { port } = rig;
    rig.serve("a", "b");
    for (let slot = 0; slot < 8; slot += 2) rig.protectPair(slot, slot + 1, slot);
    rig.die("a");
    rig.redundancy.tick(5_000);
    expect(port.operations.map(({ kind }) => kind)).toEqual(Array(4).fill(OperationKind.REBUILD));
    rig.answer(ResultStatus.OK, 0);
    expect(rig.stateOf(0)).toBe(GroupState.PARTING);
    expect(port.operations).toHaveLength(5);
    for (const index of [1, 2, 3, 4]) rig.answer(ResultStatus.OK, index);
    expect(rig.stateOf(1)).toBe(GroupState.PROTECTED);
    expect(port.lost).toEqual([]);
  });

  it("a bare group is not composed with a rotten one again and again", () => {
    rig.serve("a");
    rig.hold(0, "a");
    rig.protect(0);
    rig.port.serve("b");
    rig.hold(1, "b");
    rig.protect(1);
    expect(rig.groupOf(0)).not.toBe(rig.groupOf(1));
    rig.die("p");
    rig.port.serve("q", "parity");
    const composed = live(60, 100, 2_000);
    expect(composed.filter((sources) => sources.length === 2)).toHaveLength(1);
    expect(rig.unprotected).toBe(1);
    expect(rig.stateOf(1)).toBe(GroupState.PROTECTED);
    // At most every ten seconds in the long run.
    expect(composed.length).toBeLessThan(16);
  });

  it("the other members of a bare group with a rotten one find protection", () => {
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    rig.die("p");
    rig.port.serve("q", "parity");
    live(60, 100, 2_000);
    expect(rig.unprotected).toBe(1);
    expect(rig.stateOf(1)).toBe(GroupState.PROTECTED);
  });

  it("a page is not given up for what came out wrong long ago, and right since", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c");
    rig.protectPair(0, 1);
    let nowMs = 1_000;
    for (const status of [...Array(5).fill(ResultStatus.WRONG), ResultStatus.OK]) {
      redundancy.tick(nowMs);
      redundancy.pageWrong(1, 101);
      rig.answer(status);
      nowMs += 60_000;
    }
    redundancy.tick(nowMs);
    expect(rig.unprotected).toBe(0);
    rig.die("a");
    redundancy.tick(nowMs + 5_000);
    expect(port.operations.at(-1)!.kind).toBe(OperationKind.REBUILD);
    rig.answer(ResultStatus.WRONG);
    redundancy.tick(nowMs + 6_000);
    expect(port.lost).toEqual([]);
  });

  it("reads of a page that is wrong, in a group that is wrong, end, and hold nobody up", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c", "d");
    rig.protectPair(0, 1);
    rig.protectPair(2, 3, 10, ["c", "d"]);
    let rebuilds = 0;
    for (let nowMs = 1_000; nowMs < 30_000; nowMs += 1) {
      const before = port.operations.length;
      redundancy.pageWrong(0, 100);
      if (port.operations.length > before) {
        rebuilds += 1;
        expect(redundancy.hasOthers(0)).toBe(rebuilds <= 6);
        rig.answer(ResultStatus.WRONG);
      }
      redundancy.flush(nowMs);
    }
    expect(rebuilds).toBeLessThan(10);
    expect(redundancy.hasOthers(0)).toBe(false);
    expect(redundancy.hasOthers(2)).toBe(true);
    rig.die("c");
    redundancy.flush(30_000);
    expect(port.operations.at(-1)!.sources).toContain(103);
  });

  it("reads of two wrong pages of a group waited for ever: each try at one hid those at the other", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c");
    rig.protectPair(0, 1);
    for (let nowMs = 1_000, slot = 0; nowMs < 120_000; nowMs += 100) {
      const before = port.operations.length;
      redundancy.pageWrong(slot, 100 + slot);
      if (port.operations.length > before) {
        rig.answer(ResultStatus.WRONG);
        slot = 1 - slot;
      }
      redundancy.flush(nowMs);
    }
    expect([redundancy.hasOthers(0), redundancy.hasOthers(1)]).toEqual([false, false]);
  });

  it("a lost page is given up when what should make up for it is wrong time and again, and not before", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c");
    rig.protectPair(0, 1);
    rig.die("a");
    let nowMs = 5_000;
    for (let tries = 1; tries <= 6; tries += 1) {
      redundancy.tick(nowMs);
      expect(port.operations).toHaveLength(tries);
      expect(port.operations.at(-1)!.kind).toBe(OperationKind.REBUILD);
      expect(port.lost).toEqual([]);
      rig.answer(ResultStatus.WRONG);
      redundancy.tick(nowMs + 1);
      nowMs += 20_000;
    }
    expect(port.lost).toEqual([0]);
    expect(redundancy.groups.liveOf(1)).toBeGreaterThanOrEqual(0);
  });

  it("a group that comes out wrong holds no others up", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c");
    rig.protectPair(0, 1);
    rig.protectPair(2, 3);
    rig.die("a");
    redundancy.tick(5_000);
    expect(port.operations).toHaveLength(2);
    rig.answer(ResultStatus.WRONG, 0);
    rig.answer(ResultStatus.OK, 1);
    expect(port.moved).toHaveLength(1);
    redundancy.tick(5_001);
    expect(port.operations).toHaveLength(2);
    rig.hold(4, "b");
    rig.hold(5, "c");
    redundancy.tick(5_002);
    expect(port.lost).toEqual([]);
    redundancy.tick(5_300);
    expect(port.operations).toHaveLength(3);
  });

  it("a reader does not wait for parity that is held back for company", () => {
    rig = new ParityRig({ accumulators: 1024 });
    const { port, redundancy } = rig;
    rig.serve("a", "b");
    rig.hold(0, "a");
    rig.hold(1, "b");
    redundancy.flush(0);
    expect(port.puts).toHaveLength(0);
    expect(rig.stateOf(0)).toBe(GroupState.CLOSING);
    port.unlink(rig.server("a"));
    expect(redundancy.rescue(0, 0)).toBe(Rescue.LATER);
    redundancy.flush(1);
    expect(port.puts).toHaveLength(1);
  });
});

describe("pages that are not where they should be", () => {
  let rig: ParityRig;

  beforeEach(() => {
    rig = new ParityRig();
    rig.serve("a", "b", "c", "d");
    rig.protectPair(0, 1);
  });

  it("a lost page whose group misses another was asked for thousands of times: both are lost in the end", () => {
    const { port, redundancy } = rig;
    rig.die("b");
    let asked = 0;
    for (let nowMs = 1_000; nowMs < 20_000; nowMs += 100) {
      redundancy.tick(nowMs);
      for (; asked < port.operations.length; asked += 1) rig.answer(ResultStatus.MISSING, asked);
    }
    expect(port.lost).toEqual([1, 0]);
    expect(rig.unprotected).toBe(0);
    expect(asked).toBeLessThan(20);
  });

  it("a lost page is waited for as long as a server is merely out of the parity server's reach", () => {
    const { port, redundancy } = rig;
    rig.die("b");
    let asked = 0;
    for (let nowMs = 1_000; nowMs < 600_000; nowMs += 100) {
      redundancy.tick(nowMs);
      for (; asked < port.operations.length; asked += 1) rig.answer(ResultStatus.UNREACHABLE, asked);
    }
    expect(port.lost).toEqual([]);
    // It is tried again every few seconds.
    for (let nowMs = 600_000; nowMs < 606_000 && asked === port.operations.length; nowMs += 100)
      redundancy.tick(nowMs);
    expect(port.operations).toHaveLength(asked + 1);
    rig.answer(ResultStatus.OK);
    expect(port.moved).toHaveLength(1);
  });

  it("a group that misses a page holds no others up, and waits longer each time", () => {
    const { port, redundancy } = rig;
    rig.protectPair(2, 3, 10, ["b", "c"]);
    rig.die("b");
    redundancy.tick(2_000);
    expect(port.operations).toHaveLength(2);
    rig.answer(ResultStatus.MISSING, 0);
    rig.answer(ResultStatus.OK, 1);
    rig.protectPair(4, 5, 2_001, ["c", "d"]);
    redundancy.pageWrong(4, 104);
    expect(port.operations).toHaveLength(3);
    rig.answer(ResultStatus.OK);
    const times: number[] = [];
    for (let nowMs = 2_010; nowMs < 4_000; nowMs += 10) {
      redundancy.tick(nowMs);
      if (port.operations.length === 3 + times.length) continue;
      times.push(nowMs);
      rig.answer(ResultStatus.MISSING);
    }
    expect(times).toEqual([2_200, 2_600, 3_400]);
  });

  it("groups that were to be put together with one that misses a page were never reclaimed after that", () => {
    const { port, redundancy } = rig;
    rig.protectPair(2, 3, 10, ["c", "d"]);
    for (const slot of [1, 3]) redundancy.pageDead(slot);
    rig.server("d").report({ free: 1, limit: 100, used: 99 });
    let asked = 0;
    for (let nowMs = 1_000; nowMs < 60_000; nowMs += 100) {
      redundancy.tick(nowMs);
      for (; asked < port.operations.length; asked += 1) {
        const isVain = port.operations[asked]!.sources.includes(100);
        rig.answer(isVain ? ResultStatus.MISSING : ResultStatus.OK, asked);
      }
    }
    expect(port.operations[0]!.sources).toEqual([100, 102]);
    expect(redundancy.figures()).toEqual({ live: 2, dead: 0, unprotected: 0 });
    expect(port.lost).toEqual([]);
    expect(asked).toBeLessThan(20);
  });
});
