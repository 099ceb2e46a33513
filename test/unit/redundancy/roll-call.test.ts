import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { OperationKind } from "./fake-port.ts";
import { ParityRig } from "./parity-rig.ts";

describe("the list of what a server holds", () => {
  let rig: ParityRig;

  beforeEach(() => {
    rig = new ParityRig();
    rig.serve("a", "b", "c");
    rig.protectPair(0, 1);
    rig.protectPair(2, 3);
  });

  const listing = (name: string, isComplete: boolean): void =>
    rig.redundancy.listing(rig.server(name), isComplete);
  const list = (name: string, slot: number, pageId = 100 + slot): boolean =>
    rig.redundancy.wants(rig.server(name).index, slot, pageId);

  it("lacks a page that it should have: that page is made anew elsewhere", () => {
    const { port, redundancy } = rig;
    listing("a", false);
    expect(list("a", 0)).toBe(true);
    expect(rig.unprotected).toBe(0);
    listing("a", true);
    expect(rig.unprotected).toBe(2);
    redundancy.tick(1_000);
    expect(port.operations).toMatchObject([
      { kind: OperationKind.REBUILD, sources: [expect.anything(), 103] },
    ]);
    rig.answer(ResultStatus.OK);
    redundancy.tick(1_100);
    expect([port.lost, rig.unprotected]).toEqual([[], 0]);
    expect(port.moved.at(-1)).toMatch(/^2 to [ac].1\d\d\d$/);
  });

  it("lacks a parity page that it should have: its group is made anew", () => {
    const { groups } = rig.redundancy;
    listing("p", false);
    expect(list("p", rig.groupOf(0), groups.parityId[rig.groupOf(0)])).toBe(true);
    listing("p", true);
    rig.redundancy.tick(1_000);
    expect(rig.port.operations).toMatchObject([{ kind: OperationKind.COMPOSE, sources: [102, 103] }]);
  });

  it("lacks two pages of a group: they are lost", () => {
    for (const name of ["a", "b"]) {
      listing(name, false);
      list(name, name === "a" ? 0 : 1);
      listing(name, true);
    }
    rig.redundancy.tick(1_000);
    expect(rig.port.lost.sort()).toEqual([2, 3]);
    expect(rig.unprotected).toBe(0);
  });

  it("need not have what has come to it since it was asked", () => {
    const { port, redundancy } = rig;
    for (const name of ["a", "b", "c", "p"]) listing(name, false);
    rig.hold(4, "a");
    rig.hold(5, "b");
    rig.protect(1_000);
    redundancy.pageWrong(1, 101);
    rig.answer(ResultStatus.OK);
    expect(port.moved).toEqual([expect.stringMatching(/^1 to c/)]);
    for (const slot of [0, 2]) list("a", slot);
    list("b", 3);
    for (const slot of [0, 2]) list("p", rig.groupOf(slot), redundancy.groups.parityId[rig.groupOf(slot)]);
    for (const name of ["a", "b", "c", "p"]) listing(name, true);
    expect(port.moved).toHaveLength(1);
    expect(port.table.holders.filter((holder) => holder.state === "dead")).toEqual([]);
  });

  it("lacks a page of an open group: it did not count as unprotected until the group was full", () => {
    rig.hold(4, "a");
    listing("a", false);
    for (const slot of [0, 2]) list("a", slot);
    listing("a", true);
    expect(rig.stateOf(4)).toBe(GroupState.CLOSING);
    expect(rig.unprotected).toBe(1);
    rig.protect(1_000);
    rig.redundancy.tick(1_100);
    rig.answer(ResultStatus.OK);
    rig.redundancy.tick(1_200);
    expect([rig.port.lost, rig.unprotected]).toEqual([[], 0]);
  });

  const comeBack = (name: string): void => {
    rig.port.serve(name);
    listing(name, false);
    rig.redundancy.holderUp(rig.server(name));
  };

  it("was not there yet, and the pages that it lacked counted as protected", () => {
    rig.goAway("a");
    expect(rig.unprotected).toBe(4);
    comeBack("a");
    list("a", 0);
    expect(rig.unprotected).toBe(1);
    rig.goAway("a");
    comeBack("a");
    for (const slot of [0, 2]) list("a", slot);
    listing("a", true);
    expect(rig.unprotected).toBe(0);
    listing("a", false);
    expect(rig.unprotected).toBe(0);
  });

  it("of a server that is back does not matter where it has nothing, or goes away again", () => {
    rig.goAway("c");
    comeBack("c");
    expect(rig.unprotected).toBe(0);
    rig.goAway("a");
    comeBack("a");
    rig.die("a");
    rig.redundancy.tick(1_000);
    for (const index of [-2, -1]) rig.answer(ResultStatus.OK, index);
    expect(rig.unprotected).toBe(0);
  });

  it("says nothing if it ends with the link", () => {
    listing("a", false);
    rig.goAway("a");
    listing("a", true);
    expect(rig.port.moved).toEqual([]);
  });

  it("shows that a page is missing that has gone to another group meanwhile", () => {
    const { groups } = rig.redundancy;
    listing("a", false);
    rig.redundancy.pageDead(2);
    const other = rig.groupOf(3);
    groups.remove(groups.find(2, 102));
    groups.transfer(groups.liveOf(0), other);
    listing("a", true);
    expect(rig.port.moved).toEqual([expect.stringMatching(/^0 to a/)]);
  });
});
