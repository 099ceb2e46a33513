import { describe, expect, it } from "vitest";
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
