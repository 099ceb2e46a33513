import { beforeEach, describe, expect, it } from "vitest";
import type { Holder } from "../../../src/placement/holder.ts";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import type { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { Rescue } from "../../../src/redundancy/redundancy.ts";
import { FakePort, mirrorOver } from "./fake-port.ts";

describe("mirrored pages whose servers come and go", () => {
  let port: FakePort;
  let redundancy: LoggedRedundancy;
  let first: Holder;
  let second: Holder;
  let nowMs = 0;

  /** The page of slot 0 is on the first server as 100, its copy on the second as 1001; there is a third. */
  beforeEach(() => {
    nowMs = 0;
    port = new FakePort();
    redundancy = mirrorOver(port);
    first = port.serve("a");
    second = port.serve("b");
    redundancy.pageHeld(0, 0, 100, 7, first);
    tick();
    redundancy.parityHeld(port.puts.pop()!.accumulator);
    port.serve("c");
    expect(redundancy.figures().unprotected).toBe(0);
  });

  function tick(): void {
    nowMs += 100;
    redundancy.tick(nowMs);
  }

  /** The page is read, and put on another server, which takes it. */
  function copyAgain(): string {
    const fill = port.fills.pop()!;
    expect(fill.slot).toBe(0);
    redundancy.filled(fill.accumulator, true);
    tick();
    const { accumulator, holder } = port.puts.pop()!;
    redundancy.parityHeld(accumulator);
    expect(redundancy.figures()).toEqual({ live: 1, dead: 0, unprotected: 0 });
    expect(redundancy.recovery().state).toBe("idle");
    expect(port.accumulatorsLeft).toBe(port.accumulators);
    return holder.name;
  }

  function lose(holder: Holder): void {
    port.linked.delete(holder.index);
    port.table.setDead(holder);
    redundancy.holderDead(holder);
  }

  it("a page got no second copy but by being written again: its copy was lost", () => {
    lose(second);
    expect(redundancy.figures().unprotected).toBe(1);
    tick();
    expect(copyAgain()).toBe("c");
    expect(port.moved).toEqual([]);
  });

  it("the copy becomes the page when the page is lost, and gets a copy of its own", () => {
    lose(first);
    tick();
    expect(copyAgain()).toBe("c");
    expect(port.moved).toEqual(["0 to b/1001"]);
    expect(redundancy.wants(second.index, 0, 1001)).toBe(true);
  });

  it("a copy that may come back is kept until the page is in the client's memory", () => {
    port.unlink(second);
    redundancy.holderAway(second);
    tick();
    expect(port.fills).toEqual([]);
    for (let i = 0; i < 12; i += 1) tick();
    expect(port.fills.length).toBe(1);
    expect(redundancy.wants(second.index, 0, 1001)).toBe(true);
    expect(copyAgain()).toBe("c");
    expect(port.invalidated).toEqual(["b/1001"]);
  });

  it("nothing changes when the server is back before the page is read", () => {
    port.unlink(second);
    redundancy.holderAway(second);
    for (let i = 0; i < 12; i += 1) tick();
    port.linked.add(second.index);
    port.table.setUp(second);
    redundancy.holderUp(second);
    redundancy.filled(port.fills.pop()!.accumulator, true);
    tick();
    expect([port.fills, port.puts, port.invalidated]).toEqual([[], [], []]);
    expect(redundancy.figures().unprotected).toBe(0);
    expect(port.accumulatorsLeft).toBe(port.accumulators);
  });

  it("what was read in its place makes no copy", () => {
    lose(second);
    tick();
    port.holdsPages = false;
    redundancy.filled(port.fills.pop()!.accumulator, true);
    tick();
    expect(port.puts).toEqual([]);
    expect(redundancy.figures().unprotected).toBe(1);
    port.holdsPages = true;
    expect(copyAgain()).toBe("c");
  });

  it("a page that is overwritten while it is read leaves nothing behind", () => {
    lose(second);
    tick();
    redundancy.pageDead(0);
    redundancy.filled(port.fills.pop()!.accumulator, true);
    tick();
    expect(redundancy.groups.groups).toBe(0);
    expect(port.invalidated).toContain("a/100");
    expect(port.accumulatorsLeft).toBe(port.accumulators);
  });

  it("the copy of a page that is overwritten while it is read was said to have vanished from its server", () => {
    port.unlink(first);
    redundancy.holderAway(first);
    for (let i = 0; i < 12; i += 1) tick();
    expect(port.fills).toHaveLength(1);
    redundancy.listing(second, false);
    redundancy.pageDead(0);
    expect(redundancy.wants(second.index, 0, 1001)).toBe(false);
    redundancy.listing(second, true);
    expect(port.notices).toEqual([]);
    redundancy.filled(port.fills.pop()!.accumulator, true);
    tick();
    expect(redundancy.groups.groups).toBe(0);
  });

  it("a page both of whose servers are gone is lost, once", () => {
    lose(second);
    tick();
    const fill = port.fills.pop()!;
    lose(first);
    redundancy.filled(fill.accumulator, false);
    tick();
    expect(port.lost).toEqual([0]);
    expect(port.accumulatorsLeft).toBe(port.accumulators);
  });

  it("one server alone is not asked for a copy of what it has", () => {
    lose(second);
    const third = port.table.byIdentity("c")!;
    port.unlink(third);
    redundancy.holderAway(third);
    for (let i = 0; i < 12; i += 1) tick();
    expect(port.fills).toEqual([]);
    const group = redundancy.groups.groupOf(redundancy.groups.liveOf(0));
    expect(redundancy.groups.state[group]).not.toBe(GroupState.CLOSING);
  });

  it("reads of a page whose server was away waited until the copy's server had nothing to do", () => {
    port.unlink(first);
    port.busy.add(second.index);
    expect(redundancy.rescue(0, 5)).toBe(Rescue.UNDER_WAY);
    expect(port.copyReads).toEqual([{ holder: second, frame: 5, pageId: 1001 }]);
  });

  it("a silent server is asked for a copy only when the page's own server is away", () => {
    port.silent.add(second.index);
    expect(redundancy.rescue(0, 5)).toBe(Rescue.LATER);
    expect(port.copyReads).toEqual([]);
    port.unlink(first);
    expect(redundancy.rescue(0, 5)).toBe(Rescue.UNDER_WAY);
    expect(port.copyReads.map(({ holder }) => holder)).toEqual([second]);
  });

  it("a page vanished from its server while its copy was on its way, and the group was looked for in vain", () => {
    redundancy.pageHeld(1, 0, 200, 7, first);
    tick();
    const { accumulator } = port.puts.pop()!;
    redundancy.listing(first, false);
    expect(redundancy.wants(first.index, 0, 100)).toBe(true);
    redundancy.listing(first, true);
    expect(port.moved).toEqual([expect.stringMatching(/^1 to /)]);
    redundancy.parityReturned(accumulator);
    tick();
    redundancy.parityHeld(port.puts.pop()!.accumulator);
    tick();
    const { accumulator: filled } = port.fills.pop()!;
    redundancy.filled(filled, true);
    tick();
    redundancy.parityHeld(port.puts.pop()!.accumulator);
    tick();
    expect(redundancy.figures()).toEqual({ live: 2, dead: 0, unprotected: 0 });
    expect(port.lost).toEqual([]);
  });

  it("a copy became the page, and counted as held by a server that had yet to list it, and had freed it", () => {
    port.unlink(second);
    redundancy.holderAway(second);
    for (let i = 0; i < 12; i += 1) tick();
    port.linked.add(second.index);
    port.table.setUp(second);
    redundancy.listing(second, false);
    redundancy.holderUp(second);
    lose(first);
    redundancy.filled(port.fills.pop()!.accumulator, true);
    expect(port.moved).toEqual(["0 to b/1001"]);
    redundancy.listing(second, true);
    expect(redundancy.figures().unprotected).toBe(1);
    expect(port.table.at(redundancy.groups.holder[redundancy.groups.liveOf(0)]!).state).toBe("dead");
  });

  it("a copy that was dropped was kept for a page that had come to its group's place", () => {
    expect(redundancy.wants(second.index, 0, 1001)).toBe(true);
    redundancy.pageDead(0);
    redundancy.pageHeld(0, 0, 101, 7, first);
    expect(redundancy.wants(second.index, 0, 1001)).toBe(false);
    redundancy.flush(nowMs + 10);
    const { accumulator, holder } = port.puts.pop()!;
    const id = redundancy.groups.parityId[redundancy.groups.groupOf(redundancy.groups.liveOf(0))]!;
    expect(redundancy.wants(holder.index, 0, id)).toBe(true);
    redundancy.parityReturned(accumulator);
    expect(redundancy.wants(holder.index, 0, id)).toBe(false);
  });
});
