import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { Prng } from "../../../src/base/prng.ts";
import type { Holder } from "../../../src/placement/holder.ts";
import { IpTable, STRIPE_PAGES } from "../../../src/placement/ip-table.ts";

const identity = (i: number): string => i.toString(16).padStart(32, "0");

/** A table with a server for each number of free frames. */
function tableOf(...free: number[]): { table: IpTable; holders: Holder[] } {
  const table = new IpTable(new Prng(7));
  const holders = free.map((frames, i) => {
    const holder = table.admit(identity(i), `mem-${i}`);
    table.setUp(holder);
    holder.report({ free: frames, limit: 1e6, used: 1e6 - frames });
    return holder;
  });
  return { table, holders };
}

/** How often each is chosen; `then` is what happens to the chosen one. */
function tally(
  table: IpTable,
  holders: Holder[],
  times: number,
  then: (holder: Holder) => void = () => {},
): number[] {
  const counts = holders.map(() => 0);
  for (let i = 0; i < times; i += 1) {
    const holder = table.choose()!;
    counts[holders.indexOf(holder)]! += 1;
    then(holder);
  }
  return counts;
}

describe("choice of a server", () => {
  it("spreads pages evenly over equal servers", () => {
    const { table, holders } = tableOf(10_000, 10_000, 10_000, 10_000, 10_000);
    const counts = tally(table, holders, 5000, (holder) => {
      holder.unackedPages += 1;
    });
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(20);
  });

  it("spreads them also while no fresh figures come", () => {
    const { table, holders } = tableOf(1000, 1000, 1000, 1000);
    for (const count of tally(table, holders, 4000)) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  describe("where groups are spread over servers", () => {
    const spread = (
      table: IpTable,
      holders: Holder[],
      batches: number,
      takes?: (holder: Holder) => boolean,
    ): number[] => {
      const pages = holders.map(() => 0);
      for (let i = 0; i < batches; i += 1) {
        const holder = table.choose(takes, (one) => pages[holders.indexOf(one)]!)!;
        pages[holders.indexOf(holder)]! += STRIPE_PAGES;
        holder.unackedPages += STRIPE_PAGES;
      }
      return pages;
    };
    const between = (pages: number[]): number => Math.max(...pages) - Math.min(...pages);

    it("none with about the same room gets further ahead than two stripes", () => {
      const { table, holders } = tableOf(900_000, 600_000, 700_000, 500_000);
      expect(between(spread(table, holders, 1000))).toBeLessThanOrEqual(2 * STRIPE_PAGES);
    });

    it("many are drawn equally often", () => {
      const { table, holders } = tableOf(...Array(16).fill(900_000));
      expect(between(spread(table, holders, 2000))).toBeLessThanOrEqual(2 * STRIPE_PAGES);
    });

    it("those that do not take pages, or are full, are passed over", () => {
      const { table, holders } = tableOf(900_000, 900_000, 900_000, 900_000);
      const [first, , , full] = holders;
      full!.full = true;
      const [none, second, third, last] = spread(table, holders, 1000, (holder) => holder !== first);
      expect([none, last]).toEqual([0, 0]);
      expect(Math.abs(second! - third!)).toBeLessThanOrEqual(2 * STRIPE_PAGES);
    });

    it("a small one is not filled up beside large ones", () => {
      const { table, holders } = tableOf(20_000, 20_000, 20_000, 1_500);
      const [large, , , small] = spread(table, holders, 1000);
      expect(large).toBeGreaterThan(2000);
      expect(small).toBeLessThan(1000);
    });

    it("one that is much slower does not hold the others up", () => {
      const { table, holders } = tableOf(900_000, 900_000, 900_000, 900_000);
      holders[3]!.latencyMs = 20;
      for (const holder of holders.slice(0, 3)) holder.latencyMs = 1;
      const [, , third, slow] = spread(table, holders, 1000);
      expect(third).toBeGreaterThan(2000);
      expect(slow).toBeLessThan(third! / 2);
    });

    it("one that is short of room is not made to keep up", () => {
      const { table, holders } = tableOf(900_000, 900_000, 900_000, 50_000);
      const [, , third, small] = spread(table, holders, 1000);
      expect(third).toBeGreaterThan(2000);
      expect(small).toBeLessThan(third! / 2);
    });
  });

  it("does not send all to the one that stale figures show as the best", () => {
    const { table, holders } = tableOf(1001, 1000, 1000, 1000);
    const [best, ...others] = tally(table, holders, 4000);
    expect(best).toBeGreaterThan(1300);
    for (const count of others) expect(count).toBeGreaterThan(500);
  });

  it("draws most on the server with the most room, and exhausts no small one beside it", () => {
    const { table, holders } = tableOf(8000, 2000, 1000);
    const counts = tally(table, holders, 4000, (holder) => {
      const { free, limit, used } = holder.capacity;
      holder.report({ free: free - 1, limit, used: used + 1 });
    });
    expect(counts[0]).toBeGreaterThan(2000);
    for (const holder of holders) expect(holder.capacity.free).toBeGreaterThan(50);
  });

  it("finds the one with room among many without", () => {
    const { table, holders } = tableOf(...Array(50).fill(0), 5);
    for (const holder of holders) holder.full = false;
    expect(tally(table, holders, 100).at(-1)).toBe(100);
  });

  it("counts pages on their way as room taken", () => {
    const { table, holders } = tableOf(100, 10);
    holders[0]!.unackedPages = 100;
    expect(tally(table, holders, 100)).toEqual([0, 100]);
    expect(holders[0]!.freeEstimate).toBe(0);
  });

  it("still tries one without room by stale figures, but none that said FULL", () => {
    const { table, holders } = tableOf(3, 3);
    for (const holder of holders) holder.unackedPages = 10;
    holders[0]!.full = true;
    expect(tally(table, holders, 20)).toEqual([0, 20]);
    holders[1]!.full = true;
    expect(table.choose()).toBeUndefined();
    holders[0]!.report({ free: 1, limit: 3, used: 2 });
    expect(table.choose()).toBe(holders[0]);
    holders[0]!.report({ free: 0, limit: 3, used: 3 });
    expect(table.choose()).toBeUndefined();
  });

  it("passes over a much slower server whatever its room, unless the fast one has none", () => {
    const { table, holders } = tableOf(100_000, 50);
    for (let i = 0; i < 100; i += 1) holders[0]!.observeLatency(20);
    for (let i = 0; i < 100; i += 1) holders[1]!.observeLatency(0.5);
    // The slow one is left with the draws in which it is both candidates.
    expect(tally(table, holders, 1000)[0]).toBeLessThan(330);
    holders[1]!.unackedPages = 50;
    expect(tally(table, holders, 1000)).toEqual([1000, 0]);
  });

  it("minds no small difference in latency", () => {
    const { table, holders } = tableOf(100_000, 50);
    for (let i = 0; i < 100; i += 1) holders[0]!.observeLatency(1.9);
    for (let i = 0; i < 100; i += 1) holders[1]!.observeLatency(0.1);
    expect(tally(table, holders, 1000)[0]).toBeGreaterThan(670);
  });

  it("smooths latency: one slow answer is no slow server", () => {
    const { holders } = tableOf(1);
    for (let i = 0; i < 100; i += 1) holders[0]!.observeLatency(1);
    holders[0]!.observeLatency(10);
    expect(holders[0]!.latencyMs).toBeLessThan(2);
    for (let i = 0; i < 50; i += 1) holders[0]!.observeLatency(10);
    expect(holders[0]!.latencyMs).toBeGreaterThan(9);
  });

  it("chooses nobody who is away or dead", () => {
    const { table, holders } = tableOf(10, 1000, 1000);
    table.setAway(holders[1]!);
    table.setDead(holders[2]!);
    expect(tally(table, holders, 50)).toEqual([50, 0, 0]);
    table.setAway(holders[0]!);
    expect(table.choose()).toBeUndefined();
    table.setUp(holders[1]!);
    table.setUp(holders[1]!);
    expect(table.upCount).toBe(1);
    expect(table.choose()).toBe(holders[1]);
  });
});

describe("rows", () => {
  it("stay with a server that goes away and comes back", () => {
    const { table, holders } = tableOf(1, 1);
    table.setAway(holders[0]!);
    expect(holders[0]!.state).toBe("away");
    expect(table.admit(identity(0), "mem-0")).toBe(holders[0]);
    expect(table.holders).toHaveLength(2);
  });

  it("of the dead are used again only when no slot means them", () => {
    const { table, holders } = tableOf(1, 1, 1);
    const dead = holders[1]!;
    dead.livePages = 2;
    table.setDead(dead);
    expect(table.byIdentity(dead.identity)).toBeUndefined();
    expect(table.admit(identity(9), "next").index).toBe(3);
    expect(table.at(1)).toBe(dead);
    dead.livePages = 1;
    table.forgetIfUnused(dead);
    expect(table.admit(identity(10), "next").index).toBe(4);
    dead.livePages = 0;
    table.forgetIfUnused(dead);
    const heir = table.admit(identity(11), "heir");
    expect(heir.index).toBe(1);
    // What is left of the dead one does not touch its heir.
    table.forgetIfUnused(dead);
    expect(table.at(1)).toBe(heir);
  });

  it("of the living stay, though no slot means them", () => {
    const { table, holders } = tableOf(1, 1);
    table.setAway(holders[0]!);
    table.forgetIfUnused(holders[0]!);
    table.forgetIfUnused(holders[1]!);
    expect(table.holders).toEqual(holders);
  });

  it("give the next life of a server a row of its own", () => {
    const { table, holders } = tableOf(1);
    holders[0]!.livePages = 1;
    table.setDead(holders[0]!);
    const next = table.admit(identity(0), "mem-0");
    expect(next).not.toBe(holders[0]);
    expect(next.index).toBe(1);
  });

  it("are limited, and the error says so", () => {
    const { table, holders } = tableOf(...Array(limits.memoryServersMax).fill(1));
    expect(() => table.admit(identity(1e6), "one more")).toThrow(
      expect.objectContaining({
        code: "LIMIT_REACHED",
        message: expect.stringContaining(`${limits.memoryServersMax} memory servers`),
      }),
    );
    expect(table.admit(identity(3), "known")).toBe(holders[3]);
    table.setDead(holders[500]!);
    expect(table.admit(identity(1e6), "one more").index).toBe(500);
  });
});
