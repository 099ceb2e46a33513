import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import type { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { FakePort, OperationKind, parityOver } from "./fake-port.ts";

describe("parity of a client whose servers come and go", () => {
  let port: FakePort;
  let redundancy: LoggedRedundancy;

  beforeEach(() => {
    port = new FakePort();
    redundancy = parityOver(port);
  });

  const hold = (slot: number, server: string): void => {
    const holder = port.table.byIdentity(server)!;
    redundancy.pageHeld(slot, 0, 100 + slot, 7, holder);
  };

  it("keeps what makes up for a lost server while nobody takes parity, however scarce accumulators are", () => {
    const first = port.serve("a");
    port.serve("b");
    hold(0, "a");
    hold(1, "b");
    redundancy.tick(0);
    port.unlink(first);
    redundancy.holderAway(first);
    for (let slot = 2; slot < 10; slot += 1) {
      hold(slot, "b");
      redundancy.tick(slot);
    }
    const group = redundancy.groups.groupOf(redundancy.groups.liveOf(0));
    expect(port.accumulatorsLeft).toBe(0);
    expect(redundancy.groups.state[group]).toBe(GroupState.CLOSING);
  });

  it("does not give a page up whose server gives wrong bytes while another of its group is merely away", () => {
    const servers = ["a", "b"].map((name) => port.serve(name));
    const parity = port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    expect(redundancy.hasOthers(0)).toBe(true);
    const group = redundancy.groups.groupOf(redundancy.groups.liveOf(0));
    redundancy.groups.state[group] = GroupState.PROTECTED;
    redundancy.groups.parityHolder[group] = parity.index;
    servers[1]!.state = "away";
    expect(redundancy.hasOthers(0)).toBe(true);
    servers[1]!.state = "dead";
    expect(redundancy.hasOthers(0)).toBe(false);
    redundancy.groups.state[group] = GroupState.BARE;
    expect(redundancy.hasOthers(0)).toBe(false);
  });

  it("does not hold writes up for parity servers that are full", () => {
    port.serve("a");
    port.serve("b");
    port.serve("p", "parity", 0);
    for (let slot = 0; slot < 16; slot += 1) hold(slot, slot % 2 === 0 ? "a" : "b");
    redundancy.tick(0);
    expect(port.accumulatorsLeft).toBe(0);
    expect(redundancy.hasRoom).toBe(true);
    expect(redundancy.figures().unprotected).toBeGreaterThan(0);
    port.table.byIdentity("p")!.report({ free: 10, limit: 100, used: 90 });
    expect(redundancy.hasRoom).toBe(false);
  });

  it("replaces a parity that is out of reach before it gives it up", () => {
    port.serve("a");
    port.serve("b");
    const parity = port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    redundancy.tick(0);
    redundancy.parityHeld(port.puts[0]!.accumulator);
    expect(redundancy.figures().unprotected).toBe(0);
    port.unlink(parity);
    redundancy.holderAway(parity);
    const spare = port.serve("q", "parity");
    redundancy.tick(5_000);
    expect(redundancy.figures().unprotected).toBe(2);
    expect(port.operations).toMatchObject([
      { kind: OperationKind.COMPOSE, server: spare, sources: [100, 101] },
    ]);
    expect(port.invalidated).toEqual([]);
    redundancy.operationDone(port.operations[0]!.index, 0, 0);
    expect(port.invalidated).toEqual(["p/1001"]);
    expect(redundancy.figures().unprotected).toBe(0);
    expect(port.lost).toEqual([]);
  });

  /** Two pages in a protected group, one of them on a server that is gone: its rebuild has begun. */
  const loseOne = (slots: [number, number], parity: string): void => {
    hold(slots[0], "a");
    hold(slots[1], "b");
    redundancy.tick(0);
    redundancy.parityHeld(port.puts.at(-1)!.accumulator);
    expect(port.puts.at(-1)!.holder.name).toBe(parity);
  };

  it("gives a lost page up when what should make up for it is wrong time and again, and not before", () => {
    for (const name of ["a", "b", "c"]) port.serve(name);
    port.serve("p", "parity");
    loseOne([0, 1], "p");
    const first = port.table.byIdentity("a")!;
    port.unlink(first);
    port.table.setDead(first);
    redundancy.holderDead(first);
    let nowMs = 5_000;
    for (let tries = 1; tries <= 6; tries += 1) {
      redundancy.tick(nowMs);
      expect(port.operations).toHaveLength(tries);
      expect(port.operations.at(-1)!.kind).toBe(OperationKind.REBUILD);
      expect(port.lost).toEqual([]);
      redundancy.operationDone(port.operations.at(-1)!.index, ResultStatus.WRONG, 0);
      redundancy.tick(nowMs + 1);
      nowMs += 20_000;
    }
    expect(port.lost).toEqual([0]);
    expect(redundancy.groups.liveOf(1)).toBeGreaterThanOrEqual(0);
  });

  it("does not hold others up for a group that comes out wrong", () => {
    for (const name of ["a", "b", "c"]) port.serve(name);
    port.serve("p", "parity");
    loseOne([0, 1], "p");
    loseOne([2, 3], "p");
    const first = port.table.byIdentity("a")!;
    port.unlink(first);
    port.table.setDead(first);
    redundancy.holderDead(first);
    redundancy.tick(5_000);
    expect(port.operations).toHaveLength(2);
    redundancy.operationDone(port.operations[0]!.index, ResultStatus.WRONG, 0);
    redundancy.operationDone(port.operations[1]!.index, ResultStatus.OK, 7);
    expect(port.moved).toHaveLength(1);
    redundancy.tick(5_001);
    expect(port.operations).toHaveLength(2);
    hold(4, "b");
    hold(5, "c");
    redundancy.tick(5_002);
    expect(port.lost).toEqual([]);
    redundancy.tick(5_300);
    expect(port.operations).toHaveLength(3);
  });

  it("composes the rest of a group from the page that must go its own way, not from all the others", () => {
    port.serve("a");
    port.serve("b");
    port.serve("p", "parity");
    loseOne([0, 1], "p");
    const first = port.table.byIdentity("a")!;
    port.unlink(first);
    port.table.setDead(first);
    redundancy.holderDead(first);
    redundancy.tick(5_000);
    redundancy.operationDone(port.operations[0]!.index, ResultStatus.OK, 7);
    const rebuilt = Number(port.moved[0]!.split("/")[1]);
    expect(port.moved).toEqual([`0 to b/${rebuilt}`]);
    const rest = port.operations[1]!;
    expect(rest.kind).toBe(OperationKind.COMPOSE);
    expect(rest.sources).toContain(rebuilt);
    expect(rest.sources).not.toContain(101);
    expect(redundancy.figures().unprotected).toBe(2);
    redundancy.operationDone(rest.index, ResultStatus.OK, 0);
    expect(redundancy.figures().unprotected).toBe(1);
    redundancy.tick(5_001);
    expect(port.operations[2]).toMatchObject({ kind: OperationKind.COMPOSE, sources: [rebuilt] });
    redundancy.operationDone(port.operations[2]!.index, ResultStatus.OK, 0);
    expect(redundancy.figures().unprotected).toBe(0);
    expect(port.lost).toEqual([]);
  });

  it("goes on without a parity when two of a group share a server and no new group can be made", () => {
    port.serve("a");
    port.serve("b");
    port.serve("p", "parity");
    loseOne([0, 1], "p");
    const first = port.table.byIdentity("a")!;
    port.unlink(first);
    port.table.setDead(first);
    redundancy.holderDead(first);
    redundancy.tick(5_000);
    redundancy.operationDone(port.operations[0]!.index, ResultStatus.OK, 7);
    redundancy.operationDone(port.operations[1]!.index, ResultStatus.UNREACHABLE, 0);
    expect(redundancy.figures().unprotected).toBe(2);
    const groups = [0, 1].map((slot) => redundancy.groups.groupOf(redundancy.groups.liveOf(slot)));
    expect(groups[0]).not.toBe(groups[1]);
    for (const group of groups) expect(redundancy.groups.state[group]).toBe(GroupState.BARE);
    redundancy.tick(6_000);
    for (const { index } of port.operations.slice(2)) redundancy.operationDone(index, ResultStatus.OK, 0);
    expect(redundancy.figures().unprotected).toBe(0);
  });

  it("mends at the rate that is set, which reclaiming does not use up", () => {
    redundancy = parityOver(port, 40);
    for (const name of ["a", "b", "c", "d"]) port.serve(name);
    port.serve("p", "parity");
    for (let slot = 0; slot < 8; slot += 2) loseOne([slot, slot + 1], "p");
    for (const slot of [1, 3]) redundancy.pageDead(slot);
    port.table.byIdentity("d")!.report({ free: 1, limit: 100, used: 99 });
    redundancy.tick(10_000);
    expect(port.operations.length).toBeGreaterThan(0);
    for (let i = 0; i < port.operations.length; i += 1) {
      redundancy.operationDone(port.operations[i]!.index, ResultStatus.OK, 0);
      redundancy.tick(10_000);
    }
    const reclaims = port.operations.length;
    const first = port.table.byIdentity("a")!;
    port.unlink(first);
    port.table.setDead(first);
    redundancy.holderDead(first);
    const mends = () => port.operations.slice(reclaims).filter(({ kind }) => kind === OperationKind.REBUILD);
    redundancy.tick(10_000);
    // Four pages in a tenth of a second, two for each.
    expect(mends()).toHaveLength(2);
    redundancy.tick(10_200);
    expect(mends()).toHaveLength(4);
  });
});
