import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { OperationKind } from "./fake-port.ts";
import { ParityRig } from "./parity-rig.ts";

describe("parity of a client whose servers come and go", () => {
  let rig: ParityRig;

  beforeEach(() => {
    rig = new ParityRig();
  });

  it("keeps what makes up for a lost server while nobody takes parity, however scarce accumulators are", () => {
    for (const name of ["a", "b"]) rig.port.serve(name);
    rig.hold(0, "a");
    rig.hold(1, "b");
    rig.redundancy.tick(0);
    rig.goAway("a");
    for (let slot = 2; slot < 10; slot += 1) {
      rig.hold(slot, "b");
      rig.redundancy.tick(slot);
    }
    expect(rig.port.accumulatorsLeft).toBe(0);
    expect(rig.stateOf(0)).toBe(GroupState.CLOSING);
  });

  it("does not give a page up whose server gives wrong bytes while another of its group is merely away", () => {
    const { redundancy } = rig;
    rig.serve("a", "b");
    rig.hold(0, "a");
    rig.hold(1, "b");
    expect(redundancy.hasOthers(0)).toBe(true);
    rig.protect();
    rig.server("b").state = "away";
    expect(redundancy.hasOthers(0)).toBe(true);
    rig.server("b").state = "dead";
    expect(redundancy.hasOthers(0)).toBe(false);
    redundancy.groups.setState(rig.groupOf(0), GroupState.BARE);
    expect(redundancy.hasOthers(0)).toBe(false);
  });

  it("does not hold writes up for parity servers that are full", () => {
    const { port, redundancy } = rig;
    for (const name of ["a", "b"]) port.serve(name);
    port.serve("p", "parity", 0);
    for (let slot = 0; slot < 16; slot += 1) rig.hold(slot, slot % 2 === 0 ? "a" : "b");
    redundancy.tick(0);
    expect(port.accumulatorsLeft).toBe(0);
    expect(redundancy.hasRoom).toBe(true);
    expect(rig.unprotected).toBeGreaterThan(0);
    rig.server("p").report({ free: 10, limit: 100, used: 90 });
    expect(redundancy.hasRoom).toBe(false);
  });

  it("replaces a parity that is out of reach before it gives it up", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    expect(rig.unprotected).toBe(0);
    rig.goAway("p");
    const spare = port.serve("q", "parity");
    redundancy.tick(5_000);
    expect(rig.unprotected).toBe(2);
    expect(port.operations).toMatchObject([
      { kind: OperationKind.COMPOSE, server: spare, sources: [100, 101] },
    ]);
    expect(port.invalidated).toEqual([]);
    rig.answer(ResultStatus.OK);
    expect(port.invalidated).toEqual(["p/1001"]);
    expect(rig.unprotected).toBe(0);
    expect(port.lost).toEqual([]);
  });

  /** Servers a and b: one of the two pages of a group was lost with a, and is made anew on b, beside the other. */
  function crowdOneServer(): void {
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    rig.die("a");
    rig.redundancy.tick(5_000);
    rig.answer(ResultStatus.OK, 0);
  }

  it("composes the rest of a group from the page that must go its own way, not from all the others", () => {
    const { port, redundancy } = rig;
    crowdOneServer();
    const rebuilt = Number(port.moved[0]!.split("/")[1]);
    expect(port.moved).toEqual([`0 to b/${rebuilt}`]);
    const rest = port.operations[1]!;
    expect(rest.kind).toBe(OperationKind.COMPOSE);
    expect(rest.sources).toContain(rebuilt);
    expect(rest.sources).not.toContain(101);
    expect(rig.unprotected).toBe(2);
    rig.answer(ResultStatus.OK, 1);
    expect(rig.unprotected).toBe(1);
    redundancy.tick(5_001);
    expect(port.operations[2]).toMatchObject({ kind: OperationKind.COMPOSE, sources: [rebuilt] });
    rig.answer(ResultStatus.OK, 2);
    expect(rig.unprotected).toBe(0);
    expect(port.lost).toEqual([]);
  });

  it("goes on without a parity when two of a group share a server and no new group can be made", () => {
    const { port, redundancy } = rig;
    crowdOneServer();
    rig.answer(ResultStatus.UNREACHABLE, 1);
    expect(rig.unprotected).toBe(2);
    expect(rig.groupOf(0)).not.toBe(rig.groupOf(1));
    for (const slot of [0, 1]) expect(rig.stateOf(slot)).toBe(GroupState.BARE);
    redundancy.tick(6_000);
    for (const { index } of port.operations.slice(2)) redundancy.operationDone(index, ResultStatus.OK, 0);
    expect(rig.unprotected).toBe(0);
  });

  it("knows how far a server is ahead of the groups that wait for others, pages on their way counted", () => {
    rig = new ParityRig({ accumulators: 16 });
    rig.serve("a", "b", "c");
    const { leadOf } = rig.redundancy;
    for (const slot of [0, 1, 2]) rig.hold(slot, "a");
    expect(leadOf!(rig.server("a"))).toBe(3);
    rig.server("b").unackedPages = 3;
    expect(leadOf!(rig.server("b"))).toBe(3);
    rig.server("b").unackedPages = 0;
    for (const slot of [3, 4, 5]) rig.hold(slot, "b");
    for (const name of ["a", "b", "c"]) expect(leadOf!(rig.server(name))).toBe(0);
  });

  it("a server that comes back is not sent all that is written until its first answer", () => {
    rig = new ParityRig({ accumulators: 512 });
    rig.serve("a", "b", "c");
    for (let slot = 0; slot < 60; slot += 1) rig.hold(slot, "a");
    const { leadOf } = rig.redundancy;
    expect(leadOf!(rig.server("a")) - leadOf!(rig.server("b"))).toBe(32);
  });

  it("groups that are whole without a server that went wait for nobody", () => {
    rig = new ParityRig({ accumulators: 64 });
    rig.serve("a", "b");
    for (let slot = 0; slot < 8; slot += 1) rig.hold(slot, "a");
    expect(rig.stateOf(0)).toBe(GroupState.OPEN);
    rig.goAway("b");
    for (let slot = 0; slot < 8; slot += 1) expect(rig.stateOf(slot)).toBe(GroupState.CLOSING);
  });

  it("a page that was rebuilt onto a server that is gone by now is not taken for safe there", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    rig.goAway("b");
    redundancy.tick(1_500);
    redundancy.tick(1_600);
    expect(port.operations).toHaveLength(1);
    // It goes to a, for want of others, and a dies while the answer is on its way. What b and p have is enough.
    rig.die("a");
    rig.answer(ResultStatus.OK);
    for (let nowMs = 1_700; nowMs < 4_000; nowMs += 100) redundancy.tick(nowMs);
    expect([port.lost, port.moved, port.invalidated]).toEqual([[], [], []]);
    expect(rig.stateOf(1)).toBe(GroupState.PROTECTED);
  });

  it("a parity server that was full stayed full, although its groups were small enough to be merged", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b");
    for (const slot of [0, 2]) rig.protectPair(slot, slot + 1);
    redundancy.pageDead(1);
    redundancy.pageDead(2);
    redundancy.tick(1_000);
    expect(port.operations).toEqual([]);
    rig.server("p").report({ free: 0, limit: 100, used: 100 });
    redundancy.tick(2_000);
    expect(port.operations).toMatchObject([{ kind: OperationKind.COMPOSE, server: rig.server("p") }]);
    rig.answer(ResultStatus.OK);
    expect(redundancy.groups.groups).toBe(1);
    expect(redundancy.figures()).toEqual({ live: 2, dead: 0, unprotected: 0 });
  });

  it("a parity server that had no frame left for a merged group was asked for one for ever", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b");
    for (const slot of [0, 2]) rig.protectPair(slot, slot + 1);
    redundancy.pageDead(1);
    redundancy.pageDead(2);
    const full = { free: 0, limit: 2, used: 2 };
    rig.server("p").report(full);
    for (let nowMs = 1_000; nowMs < 20_000; nowMs += 100) {
      const before = port.operations.length;
      redundancy.tick(nowMs);
      if (port.operations.length > before) rig.answer(ResultStatus.FULL);
    }
    expect(port.operations).toHaveLength(1);
    expect(rig.server("p").unackedPages).toBe(0);
    rig.server("p").report({ ...full, limit: 3, used: 3 });
    redundancy.tick(21_000);
    expect(port.operations).toHaveLength(2);
  });

  it("dead pages are not shed one by one for the sake of a parity server that is short of room", () => {
    const { port, redundancy } = rig;
    rig.serve("a", "b");
    rig.protectPair(0, 1);
    redundancy.pageDead(1);
    rig.server("p").report({ free: 1, limit: 100, used: 99 });
    redundancy.tick(1_000);
    expect(port.operations).toEqual([]);
  });

  it("mends at the rate that is set, which reclaiming does not use up", () => {
    rig = new ParityRig({ pagesPerSecond: 40 });
    const { port, redundancy } = rig;
    rig.serve("a", "b", "c", "d");
    for (let slot = 0; slot < 8; slot += 2) rig.protectPair(slot, slot + 1);
    for (const slot of [1, 3]) redundancy.pageDead(slot);
    rig.server("d").report({ free: 1, limit: 100, used: 99 });
    redundancy.tick(10_000);
    expect(port.operations.length).toBeGreaterThan(0);
    for (let i = 0; i < port.operations.length; i += 1) {
      rig.answer(ResultStatus.OK, i);
      redundancy.tick(10_000);
    }
    const reclaims = port.operations.length;
    rig.die("a");
    const mends = () => port.operations.slice(reclaims).filter(({ kind }) => kind === OperationKind.REBUILD);
    redundancy.tick(10_000);
    // Four pages in a tenth of a second, two for each.
    expect(mends()).toHaveLength(2);
    redundancy.tick(10_200);
    expect(mends()).toHaveLength(4);
  });
});
