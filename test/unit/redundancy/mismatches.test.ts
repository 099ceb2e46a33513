import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { messageText } from "../../../src/base/log.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { OperationKind } from "./fake-port.ts";
import { ParityRig } from "./parity-rig.ts";

describe("what a scrub has found wrong is made anew", () => {
  let rig: ParityRig;
  let group: number;
  let parityId: number;
  const find = (pageId: number, of = group, id = parityId, by = "p"): void =>
    rig.redundancy.mismatchFound(rig.server(by), of, id, pageId);

  beforeEach(() => {
    rig = new ParityRig();
    rig.serve("a", "b", "c");
    rig.protectPair(0, 1);
    group = rig.groupOf(0);
    parityId = rig.redundancy.groups.parityId[group]!;
    rig.redundancy.tick(1_000);
  });

  it("a page of the map: from the others of its group, on another server", () => {
    find(100);
    expect(rig.port.operations).toMatchObject([
      { kind: OperationKind.REBUILD, server: rig.server("p"), sources: [parityId, 101] },
    ]);
    rig.answer(ResultStatus.OK);
    expect(rig.port.moved).toEqual([expect.stringMatching(/^0 to c/)]);
    expect(rig.port.invalidated).toEqual(["a/100"]);
    expect([rig.server("a").suspect, rig.server("b").suspect, rig.server("p").suspect]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("a parity page: from the pages, as that of a new group", () => {
    find(parityId);
    expect(rig.port.operations).toMatchObject([{ kind: OperationKind.COMPOSE, sources: [100, 101] }]);
    rig.answer(ResultStatus.OK);
    expect(rig.port.invalidated).toEqual([`p/${parityId}`]);
    expect(rig.stateOf(0)).toBe(GroupState.PROTECTED);
    expect(rig.unprotected).toBe(0);
    expect(rig.server("p").suspect).toBe(true);
  });

  it("a dead page: it can be done without", () => {
    rig.redundancy.pageDead(0);
    find(100);
    expect(rig.port.operations).toMatchObject([{ kind: OperationKind.COMPOSE, sources: [101] }]);
    rig.answer(ResultStatus.OK);
    expect(rig.port.invalidated.sort()).toEqual(["a/100", `p/${parityId}`]);
    expect(rig.unprotected).toBe(0);
  });

  it("a page of a group that is to be reclaimed: it was asked for in vain again and again, and never made anew", () => {
    const { port, redundancy } = rig;
    rig.protectPair(2, 3, 1_000);
    for (const slot of [1, 3]) redundancy.pageDead(slot);
    rig.server("b").report({ free: 1, limit: 100, used: 99 });
    find(100);
    let asked = 0;
    for (let nowMs = 1_100; nowMs < 60_000; nowMs += 10) {
      redundancy.flush(nowMs);
      if (nowMs % 100 === 0) redundancy.tick(nowMs);
      for (; asked < port.operations.length; asked += 1) {
        const { sources } = port.operations[asked]!;
        // The first one fails as well: from then on the group is in doubt.
        const isVain = sources.includes(100) || asked === 0;
        rig.answer(isVain ? ResultStatus.WRONG : ResultStatus.OK, asked);
      }
    }
    expect(port.moved).toEqual([expect.stringMatching(/^0 to /)]);
    expect([port.lost, rig.unprotected]).toEqual([[], 0]);
  });

  it("but not what is of the past, of no group, or another parity server's", () => {
    rig.port.serve("q", "parity");
    find(99);
    find(100, group, parityId + 1);
    find(100, group + 1);
    find(100, 2 ** 32 - 1);
    find(parityId, group, parityId, "q");
    // A group of the same number, whose parity page is not held yet.
    rig.redundancy.pageDead(0);
    rig.redundancy.pageDead(1);
    rig.hold(2, "a");
    rig.hold(3, "b");
    rig.redundancy.barrier();
    expect(rig.groupOf(2)).toBe(group);
    find(parityId);
    expect(rig.port.operations).toEqual([]);
    expect([rig.server("a").suspect, rig.server("p").suspect]).toEqual([false, false]);
  });

  it("and once at a time, and not again at once if that came out wrong", () => {
    find(100);
    find(100);
    find(parityId);
    expect(rig.port.operations).toHaveLength(1);
    rig.answer(ResultStatus.WRONG);
    find(100);
    find(parityId);
    expect(rig.port.operations).toHaveLength(1);
    rig.redundancy.tick(2_000);
    expect(rig.port.operations).toHaveLength(2);
  });

  it("also a second page of a group: the first, right in truth, stood in its way", () => {
    find(100);
    rig.answer(ResultStatus.WRONG);
    find(101);
    expect(rig.unprotected).toBe(2);
    const asked: number[] = [];
    for (let nowMs = 20_000; nowMs < 200_000; nowMs += 20_000) {
      rig.redundancy.tick(nowMs);
      const { sources } = rig.port.operations.at(-1)!;
      asked.push(sources[1]!);
      rig.answer(sources.includes(101) ? ResultStatus.WRONG : ResultStatus.OK);
      if (!sources.includes(101)) break;
    }
    expect(asked).toEqual([101, 100]);
    rig.redundancy.tick(300_000);
    rig.answer(ResultStatus.OK);
    rig.redundancy.tick(300_100);
    expect(rig.unprotected).toBe(0);
  });

  it("as soon as that can be done; until then its group's pages are unprotected", () => {
    rig.server("p").report({ free: 0, limit: 100, used: 100 });
    find(parityId);
    expect(rig.port.operations).toEqual([]);
    expect(rig.unprotected).toBe(2);
    expect(rig.redundancy.recovery()).toMatchObject({ state: "rebuilding", total: 2 });
    rig.server("p").report({ free: 50, limit: 100, used: 50 });
    rig.redundancy.tick(2_000);
    expect(rig.port.operations).toHaveLength(1);
    expect(rig.unprotected).toBe(2);
    rig.answer(ResultStatus.OK);
    rig.redundancy.tick(2_100);
    expect(rig.unprotected).toBe(0);
    expect(rig.redundancy.recovery().state).toBe("idle");
  });

  it("a few at a time, however many there are", () => {
    const many = 30;
    for (let slot = 2; slot < 2 * many; slot += 2) rig.protectPair(slot, slot + 1, 1_000);
    const { groups } = rig.redundancy;
    for (let slot = 0; slot < 2 * many; slot += 2)
      find(100 + slot, rig.groupOf(slot), groups.parityId[rig.groupOf(slot)]);
    const begun = rig.port.operations.length;
    expect(begun).toBeGreaterThan(0);
    expect(begun).toBeLessThan(many);
    expect(rig.unprotected).toBe(2 * many);
    for (let nowMs = 2_000, done = 0; nowMs < 60_000; nowMs += 100) {
      for (; done < rig.port.operations.length; done += 1) rig.answer(ResultStatus.OK, done);
      rig.redundancy.tick(nowMs);
    }
    expect(rig.port.operations).toHaveLength(many);
    expect(rig.unprotected).toBe(0);
  });

  it("also if a read found it, when nothing could be begun", () => {
    for (const name of ["a", "b", "c"]) rig.server(name).full = true;
    rig.redundancy.pageWrong(0, 100);
    expect(rig.port.operations).toEqual([]);
    expect(rig.unprotected).toBe(2);
    rig.server("c").full = false;
    rig.redundancy.tick(2_000);
    expect(rig.port.operations).toMatchObject([{ kind: OperationKind.REBUILD, sources: [parityId, 101] }]);
    rig.answer(ResultStatus.OK);
    rig.redundancy.tick(2_100);
    expect(rig.unprotected).toBe(0);
  });

  it("and said once", () => {
    const notices: string[] = [];
    rig.port.notice = (message, fields) => void notices.push(messageText(message, fields));
    for (let i = 0; i < 100; i += 1) find(100);
    expect(notices).toEqual([expect.stringContaining("a server is suspect name=a page=100 ")]);
  });
});
