import { beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import type { Holder } from "../../../src/placement/holder.ts";
import { NONE } from "../../../src/redundancy/group-table.ts";
import { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { FakePort } from "./fake-port.ts";

/** Servers hold what is written in turn; parity servers answer at once. */
class Load {
  readonly port = new FakePort(1_024);
  readonly redundancy: LoggedRedundancy;
  readonly servers: Holder[] = [];
  #pageId = 0;
  #turns = 0;

  constructor(slots: number, servers = 4) {
    for (let i = 0; i < servers; i += 1) this.servers.push(this.port.serve(`s${i}`));
    this.port.serve("p", "parity");
    this.redundancy = new LoggedRedundancy({
      ...{ port: this.port, slots, mode: "parity", groupSize: 4, operationsMax: 64, lostAfterMs: 1_000 },
      ...{ retryMs: 200, pagesPerSecond: 80_000, reclaimShare: 0.92 },
    });
  }

  write(slot: number): void {
    if (this.redundancy.groups.liveOf(slot) !== NONE) this.redundancy.pageDead(slot);
    this.#pageId += 1;
    const holder = this.servers[this.#pageId % this.servers.length]!;
    this.redundancy.pageHeld(slot, 0, this.#pageId, 7, holder);
    if (this.#pageId % 16 === 0) this.answer();
  }

  goAway(holder: Holder): void {
    this.port.unlink(holder);
    this.redundancy.holderAway(holder);
  }

  comeBack(holder: Holder): void {
    this.port.table.setUp(holder);
    this.port.linked.add(holder.index);
    this.redundancy.holderUp(holder);
  }

  get unprotected(): number {
    return this.redundancy.figures().unprotected;
  }

  tick(): void {
    this.#turns += 1;
    this.redundancy.tick(this.#turns);
  }

  answer(): void {
    this.#turns += 1;
    this.redundancy.flush(this.#turns);
    for (const { accumulator } of this.port.puts.splice(0)) this.redundancy.parityHeld(accumulator);
    for (const { index } of this.port.operations.splice(0)) this.redundancy.operationDone(index, 0, 7);
  }
}

describe("a slot that is written again and again among others that are written once", () => {
  it("does not make every page of a list a search through all of its dead ones", () => {
    const pages = 4_000;
    const { redundancy, ...load } = filled(pages);
    const { groups } = redundancy;
    expect(groups.deadMembers).toBeGreaterThan(pages / 2);
    let looks = 0;
    const { pageId } = groups;
    groups.pageId = new Proxy(pageId, {
      get: (target, key) => {
        looks += 1;
        return Reflect.get(target, key) as unknown;
      },
    });
    let members = 0;
    for (let m = 0; m < groups.last(groups.end - 1); m += 1) {
      if (m >= groups.last(groups.groupOf(m))) continue;
      members += 1;
      expect(redundancy.wants(groups.holder[m]!, groups.slot[m]!, pageId[m]!)).toBe(true);
      expect(redundancy.wants(load.elsewhere(groups.holder[m]!), groups.slot[m]!, pageId[m]!)).toBe(false);
    }
    expect(members).toBe(groups.liveMembers + groups.deadMembers);
    expect(looks).toBeLessThan(members * 8);
  });

  function filled(pages: number) {
    const load = new Load(pages + 1);
    for (let slot = 0; slot < pages; slot += 1) {
      load.write(slot);
      load.write(pages);
    }
    const elsewhere = (holder: number) => load.servers.find(({ index }) => index !== holder)!.index;
    return { redundancy: load.redundancy, elsewhere };
  }
});

describe("a server that goes away and comes back, of a client with more groups than can be looked at at once", () => {
  const groupCount = limits.groupsReviewedAtOnce + 100;
  const pages = groupCount * 4;
  let load: Load;
  let asked: MockInstance;

  beforeEach(() => {
    load = new Load(pages);
    for (let slot = 0; slot < pages; slot += 1) load.write(slot);
    for (let turn = 0; turn < 8; turn += 1) load.answer();
    expect(load.redundancy.groups.groups).toBe(groupCount);
    expect(load.unprotected).toBe(0);
    asked = vi.spyOn(load.port, "isLinked");
  });

  it("does not hold the client up until all groups were looked at", () => {
    load.goAway(load.servers[0]!);
    load.comeBack(load.servers[0]!);
    load.redundancy.figures();
    expect(asked.mock.calls.length).toBeLessThan(100);
  });

  it("is never said to endanger nothing, and to endanger what it does as soon as that is known", () => {
    const { redundancy, port } = load;
    load.goAway(load.servers[0]!);
    expect(load.unprotected).toBeGreaterThan(0);
    expect(redundancy.recovery().state).toBe("rebuilding");
    load.tick();
    expect(load.unprotected).toBe(pages);
    expect(port.operations).toEqual([]);
    load.comeBack(load.servers[0]!);
    expect(load.unprotected).toBe(pages);
    load.tick();
    expect(load.unprotected).toBe(0);
    expect(redundancy.recovery()).toEqual({ state: "idle", done: 0, total: 0 });
  });

  it("has what a page that is written meanwhile was in judged by how things stand then", () => {
    load.goAway(load.servers[0]!);
    const { groups } = load.redundancy;
    const group = groups.groupOf(groups.liveOf(0));
    expect(groups.degraded[group]).toBe(0);
    load.redundancy.pageDead(0);
    expect(groups.degraded[group]).toBe(1);
    expect(load.unprotected).toBe(3);
  });

  it("has nothing reclaimed from groups that have become degraded without having been looked at", () => {
    const { redundancy, port } = load;
    for (let slot = 0; slot < pages; slot += 1) if (slot % 4 !== 0) redundancy.pageDead(slot);
    const away = load.servers[0]!;
    load.goAway(away);
    redundancy.flush(10_000);
    expect(port.operations).toEqual([]);
    load.comeBack(away);
    redundancy.flush(10_001);
    expect(port.operations.length).toBeGreaterThan(0);
  });
});

describe("a parity server that is gone, of a client with more groups than can be seen to at once", () => {
  it("held the client up until the parity of all of them was given up", () => {
    const groupCount = 2 * limits.groupStepsPerTick;
    const load = new Load(groupCount * 4);
    const { port, redundancy } = load;
    for (let slot = 0; slot < groupCount * 4; slot += 1) load.write(slot);
    for (let turn = 0; turn < 8; turn += 1) load.answer();
    expect(load.unprotected).toBe(0);
    const [gone] = port.table.holders.filter(({ role }) => role === "parity");
    load.goAway(gone!);
    load.tick();
    port.table.setDead(gone!);
    redundancy.holderDead(gone!);
    port.serve("q", "parity");
    const { length } = port.invalidated;
    const givenUp = () => port.invalidated.length - length;
    for (let turn = 0; turn < 10; turn += 1) load.answer();
    expect(givenUp()).toBe(limits.groupStepsPerTick);
    expect(load.unprotected).toBeLessThan(groupCount * 4);
    load.tick();
    load.answer();
    expect(givenUp()).toBe(groupCount);
  });
});

describe("a server that is gone, of a mirror with more pages than groups are given up in a tick", () => {
  it("had no more of them copied in a tick than that, however fast the others were", () => {
    const pages = limits.groupStepsPerTick + 100;
    const port = new FakePort(1_024);
    const redundancy = new LoggedRedundancy({
      ...{ port, slots: pages, mode: "mirror", groupSize: 1, operationsMax: 64, lostAfterMs: 1_000 },
      ...{ retryMs: 200, pagesPerSecond: 80_000, reclaimShare: 0.92 },
    });
    const turn = (): void => {
      redundancy.flush(10);
      for (const { accumulator } of port.fills.splice(0)) redundancy.filled(accumulator, true);
      redundancy.flush(10);
      for (const { accumulator } of port.puts.splice(0)) redundancy.parityHeld(accumulator);
    };
    const [first, second] = [port.serve("a"), port.serve("b")];
    redundancy.tick(1);
    for (let slot = 0; slot < pages; slot += 1) {
      redundancy.pageHeld(slot, 0, slot + 1, 7, first);
      if (slot % 16 === 0) turn();
    }
    for (let i = 0; i < 20; i += 1) turn();
    expect(redundancy.figures()).toMatchObject({ live: pages, unprotected: 0 });
    port.serve("c");
    port.unlink(second);
    port.table.setDead(second);
    redundancy.holderDead(second);
    redundancy.tick(10);
    for (let i = 0; i < 200; i += 1) turn();
    expect(redundancy.figures()).toMatchObject({ live: pages, unprotected: 0 });
  });
});
