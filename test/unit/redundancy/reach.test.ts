import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import { ParityRig } from "./parity-rig.ts";

describe("a parity server that does not reach a memory server, while the client reaches both", () => {
  let rig: ParityRig;

  /** Names of the servers that have pages, by the pages' ids. */
  const on = new Map<number, string>();

  beforeEach(() => {
    rig = new ParityRig();
    for (let slot = 0; slot < 10; slot += 1) on.set(100 + slot, slot % 2 === 0 ? "a" : "b");
  });

  /** Ticks for so many seconds; returns how many operations were asked for that came to nothing. */
  const live = (fromMs: number, seconds: number, severed: Record<string, string>): number => {
    const { port, redundancy } = rig;
    let failed = 0;
    let asked = port.operations.length;
    for (let nowMs = fromMs; nowMs < fromMs + seconds * 1000; nowMs += 100) {
      redundancy.tick(nowMs);
      for (; asked < port.operations.length; asked += 1) {
        const { index, server, sources, target } = port.operations[asked]!;
        const needed = [target?.name, ...sources.map((pageId) => on.get(pageId))];
        const isSevered = needed.some((name) => name !== undefined && name === severed[server.name]);
        failed += isSevered ? 1 : 0;
        redundancy.operationDone(index, isSevered ? ResultStatus.UNREACHABLE : ResultStatus.OK, 7);
      }
    }
    return failed;
  };

  /** Bare pairs of pages on a and b. */
  const bare = (): void => {
    rig.serve("a", "b");
    rig.protectPair(0, 1, 0);
    rig.protectPair(2, 3, 10);
    rig.die("p");
    expect(rig.unprotected).toBe(4);
  };

  it("was asked again and again for what another parity server could do, since it had more room", () => {
    bare();
    rig.port.serve("q", "parity", 90);
    rig.port.serve("r", "parity", 50);
    expect(live(2_000, 20, { q: "a" })).toBeLessThan(10);
    expect(rig.unprotected).toBe(0);
  });

  it("kept pages unprotected that it could reach, since they were in groups with some that it could not", () => {
    bare();
    rig.port.serve("q", "parity");
    live(2_000, 20, { q: "a" });
    expect(rig.unprotected).toBe(2);
    expect([rig.stateOf(1), rig.stateOf(3)]).toEqual([GroupState.PROTECTED, GroupState.PROTECTED]);
    // Every few seconds, in the long run.
    expect(live(22_000, 60, { q: "a" })).toBeLessThan(40);
    live(82_000, 10, {});
    expect(rig.unprotected).toBe(0);
  });

  it("was asked for page after page to put it there, since that server had the most room", () => {
    rig.serve("a", "b");
    for (let slot = 0; slot < 40; slot += 2) rig.protectPair(slot, slot + 1, slot);
    rig.port.serve("c");
    rig.port.serve("d", "server", 10);
    rig.die("b");
    expect(live(2_000, 20, { p: "c" })).toBeLessThan(6);
    expect(rig.port.moved.filter((moved) => moved.includes(" to d/"))).toHaveLength(20);
    expect(rig.unprotected).toBe(0);
  });

  it("was to put a lost page there for ever, since that was the only server outside the page's group", () => {
    rig.serve("a", "b");
    rig.protectPair(0, 1, 0);
    rig.port.serve("c");
    rig.die("b");
    live(2_000, 20, { p: "c" });
    expect(rig.port.moved).toHaveLength(1);
    expect(rig.port.moved[0]).toMatch(/^1 to a/);
    expect(rig.unprotected).toBe(0);
  });

  it("was asked thousands of times to put lost pages there, for want of another server", () => {
    rig.serve("b");
    for (let slot = 1; slot < 12; slot += 2) {
      on.set(100 + slot, "b");
      rig.hold(slot, "b");
      rig.protect(slot);
    }
    rig.die("b");
    rig.port.serve("c");
    expect(live(2_000, 60, { p: "c" })).toBeLessThan(150);
    live(62_000, 10, {});
    expect(rig.port.moved).toHaveLength(6);
    expect(rig.unprotected).toBe(0);
  });

  it("was asked thousands of times for what needs that server", () => {
    rig.serve("a", "b");
    for (let slot = 0; slot < 10; slot += 2) rig.protectPair(slot, slot + 1, slot);
    rig.die("b");
    rig.port.serve("c");
    expect(live(2_000, 60, { p: "a" })).toBeLessThan(150);
    expect(rig.port.lost).toEqual([]);
    live(62_000, 10, {});
    expect(rig.unprotected).toBe(0);
  });

  it("held back a page that it could mend for ever, among many that it could not", () => {
    rig.serve("a", "b", "c");
    for (let slot = 0; slot < 40; slot += 2) {
      rig.protectPair(slot, slot + 1, slot, ["a", "b"]);
      on.set(100 + slot, "a");
    }
    rig.protectPair(50, 51, 100, ["c", "b"]);
    on.set(150, "c");
    rig.die("b");
    live(2_000, 60, { p: "a" });
    expect(rig.port.moved.map((move) => move.split("/")[0])).toEqual(["51 to c"]);
  });
});
