import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import type { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { Rescue } from "../../../src/redundancy/redundancy.ts";
import { FakePort, OperationKind, parityOver } from "./fake-port.ts";

describe("pages that are not what they should be", () => {
  let port: FakePort;
  let redundancy: LoggedRedundancy;

  beforeEach(() => {
    port = new FakePort();
    redundancy = parityOver(port);
  });

  /** The page of this slot is number 100 + slot. */
  const hold = (slot: number, server: string): void => {
    redundancy.pageHeld(slot, 0, 100 + slot, 7, port.table.byIdentity(server)!);
  };
  const protect = (nowMs: number): void => {
    redundancy.barrier();
    redundancy.tick(nowMs);
    redundancy.parityHeld(port.puts.at(-1)!.accumulator);
  };
  const die = (name: string): void => {
    const holder = port.table.byIdentity(name)!;
    port.unlink(holder);
    port.table.setDead(holder);
    redundancy.holderDead(holder);
  };
  const groupOf = (slot: number): number => redundancy.groups.groupOf(redundancy.groups.liveOf(slot));
  /** Ticks for so many seconds; operations with the page as a source come out wrong, others right. */
  const live = (seconds: number, rotten: number, fromMs: number): string[][] => {
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
    port.serve("a");
    port.serve("b");
    port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    protect(0);
    redundancy.tick(1_000);
    expect(redundancy.figures().unprotected).toBe(0);
    port.table.byIdentity("a")!.full = true;
    redundancy.pageWrong(0);
    redundancy.operationDone(port.operations[0]!.index, ResultStatus.OK, 7);
    expect(redundancy.groups.state[groupOf(0)]).toBe(GroupState.PARTING);
    expect(redundancy.figures().unprotected).toBe(2);
    expect(redundancy.recovery().state).not.toBe("idle");
  });

  it("a bare group is not composed with a rotten one again and again", () => {
    port.serve("a");
    port.serve("p", "parity");
    hold(0, "a");
    protect(0);
    port.serve("b");
    hold(1, "b");
    protect(1);
    expect(groupOf(0)).not.toBe(groupOf(1));
    die("p");
    port.serve("q", "parity");
    const composed = live(60, 100, 2_000);
    expect(composed.filter((sources) => sources.length === 2)).toHaveLength(1);
    expect(redundancy.figures().unprotected).toBe(1);
    expect(redundancy.groups.state[groupOf(1)]).toBe(GroupState.PROTECTED);
    // At most every ten seconds in the long run.
    expect(composed.length).toBeLessThan(16);
  });

  it("the other members of a bare group with a rotten one find protection", () => {
    port.serve("a");
    port.serve("b");
    port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    protect(0);
    die("p");
    port.serve("q", "parity");
    live(60, 100, 2_000);
    expect(redundancy.figures().unprotected).toBe(1);
    expect(redundancy.groups.state[groupOf(1)]).toBe(GroupState.PROTECTED);
  });

  it("a page is not given up for what came out wrong long ago, and right since", () => {
    for (const name of ["a", "b", "c"]) port.serve(name);
    port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    protect(0);
    let nowMs = 1_000;
    for (const status of [...Array(5).fill(ResultStatus.WRONG), ResultStatus.OK]) {
      redundancy.tick(nowMs);
      redundancy.pageWrong(1);
      redundancy.operationDone(port.operations.at(-1)!.index, status, 9);
      nowMs += 60_000;
    }
    redundancy.tick(nowMs);
    expect(redundancy.figures().unprotected).toBe(0);
    die("a");
    redundancy.tick(nowMs + 5_000);
    expect(port.operations.at(-1)!.kind).toBe(OperationKind.REBUILD);
    redundancy.operationDone(port.operations.at(-1)!.index, ResultStatus.WRONG, 0);
    redundancy.tick(nowMs + 6_000);
    expect(port.lost).toEqual([]);
  });

  it("reads of a page that is wrong, in a group that is wrong, end, and hold nobody up", () => {
    for (const name of ["a", "b", "c", "d"]) port.serve(name);
    port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    protect(0);
    hold(2, "c");
    hold(3, "d");
    protect(10);
    let rebuilds = 0;
    for (let nowMs = 1_000; nowMs < 30_000; nowMs += 1) {
      const before = port.operations.length;
      redundancy.pageWrong(0);
      if (port.operations.length > before) {
        rebuilds += 1;
        expect(redundancy.hasOthers(0)).toBe(rebuilds <= 6);
        redundancy.operationDone(port.operations.at(-1)!.index, ResultStatus.WRONG, 0);
      }
      redundancy.flush(nowMs);
    }
    expect(rebuilds).toBeLessThan(10);
    expect(redundancy.hasOthers(0)).toBe(false);
    expect(redundancy.hasOthers(2)).toBe(true);
    die("c");
    redundancy.flush(30_000);
    expect(port.operations.at(-1)!.sources).toContain(103);
  });

  it("a reader does not wait for parity that is held back for company", () => {
    port = new FakePort(1024);
    redundancy = parityOver(port);
    const first = port.serve("a");
    port.serve("b");
    port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    redundancy.flush(0);
    expect(port.puts).toHaveLength(0);
    expect(redundancy.groups.state[groupOf(0)]).toBe(GroupState.CLOSING);
    port.unlink(first);
    expect(redundancy.rescue(0, 0)).toBe(Rescue.LATER);
    redundancy.flush(1);
    expect(port.puts).toHaveLength(1);
  });
});
