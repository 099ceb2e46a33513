import { beforeEach, describe, expect, it } from "vitest";
import type { Holder } from "../../../src/placement/holder.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import type { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { FakePort, mirrorOver } from "./fake-port.ts";

const SLOTS = [0, 1, 2, 3, 4, 5];

describe("copies that nobody takes were given up, although they were all that was left of their pages", () => {
  let port: FakePort;
  let redundancy: LoggedRedundancy;
  let first: Holder;
  let second: Holder;
  let nowMs = 0;

  /** Pages are on the first server, their copies on their way to the second. */
  beforeEach(() => {
    nowMs = 0;
    port = new FakePort(8);
    redundancy = mirrorOver(port);
    first = port.serve("a");
    second = port.serve("b");
    for (const slot of SLOTS) redundancy.pageHeld(slot, 0, 100 + slot, 7, first);
    redundancy.barrier();
    tick();
    expect(port.puts).toHaveLength(SLOTS.length);
  });

  function tick(times = 1): void {
    for (; times > 0; times -= 1) {
      nowMs += 100;
      redundancy.tick(nowMs);
    }
  }

  function refuseAll(): void {
    second.full = true;
    for (const { accumulator } of port.puts.splice(0)) redundancy.parityReturned(accumulator);
    tick(20);
  }

  it("the pages had vanished from their server: they go there again, for want of others", () => {
    for (const slot of SLOTS) expect(redundancy.pageMissing(slot, 100 + slot, first)).toBe(true);
    refuseAll();
    expect(port.lost).toEqual([]);
    expect(port.puts.map(({ holder }) => holder)).toEqual(SLOTS.map(() => first));
  });

  it("the pages were known to be wrong there", () => {
    for (const slot of SLOTS) redundancy.pageWrong(slot, 100 + slot);
    refuseAll();
    const { groups } = redundancy;
    for (const slot of SLOTS)
      expect(groups.state[groups.groupOf(groups.liveOf(slot))]).toBe(GroupState.CLOSING);
  });

  it("the server was back, and had yet to say that it has none of them", () => {
    port.unlink(first);
    redundancy.holderAway(first);
    refuseAll();
    port.linked.add(first.index);
    port.table.setUp(first);
    redundancy.listing(first, false);
    redundancy.holderUp(first);
    tick();
    redundancy.listing(first, true);
    tick(10);
    expect(port.lost).toEqual([]);
  });

  it("their server had died, unnoticed, while the copies were on their way", () => {
    first.answered(1, nowMs);
    nowMs += 1_000;
    redundancy.tick(nowMs);
    refuseAll();
    expect(redundancy.groups.state[redundancy.groups.groupOf(redundancy.groups.liveOf(5))]).toBe(
      GroupState.CLOSING,
    );
    expect(port.accumulatorsLeft).toBe(8 - SLOTS.length);
  });

  it("but where the pages are well, they make room for others", () => {
    refuseAll();
    first.answered(1, nowMs);
    tick();
    expect(port.accumulatorsLeft).toBeGreaterThan(8 - SLOTS.length);
    expect(redundancy.figures()).toEqual({ live: SLOTS.length, dead: 0, unprotected: SLOTS.length });
  });
});

it("a copy was given up that had counted as one for a moment, in which its page's server stood last", () => {
  const port = new FakePort(64);
  const redundancy = mirrorOver(port);
  const [first, second] = [port.serve("a"), port.serve("b")];
  const hold = (slot: number): void => redundancy.pageHeld(slot, 0, 100 + slot, 7, first);
  for (let slot = 0; slot < 24; slot += 1) hold(slot);
  redundancy.barrier();
  redundancy.tick(100);
  second.full = true;
  for (const { accumulator } of port.puts.splice(0)) redundancy.parityReturned(accumulator);
  redundancy.tick(1_000);
  second.full = false;
  // Copies wait for company before they are sent.
  hold(30);
  redundancy.flush(1_002);
  expect(port.puts).toEqual([]);
  const left = port.accumulatorsLeft;
  expect(redundancy.figures().unprotected).toBe(0);
  first.answered(1, 1_002);
  second.full = true;
  redundancy.tick(1_300);
  redundancy.tick(2_000);
  expect(port.accumulatorsLeft).toBe(left);
});
