import { beforeEach, describe, expect, it } from "vitest";
import { PageResult } from "../../../src/client/page-waiter.ts";
import type { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { newPageMeta } from "../../../src/server/page-meta.ts";
import { type Outcome, pageOf, TestClient } from "../../support/cores.ts";
import { Rig } from "../parity/rig.ts";

const CLIENT = "63".repeat(16);
const SLOTS = [...Array(32).keys()];

/** A client, four memory servers and, with parity, a parity server. */
class Cluster {
  readonly rig = new Rig({}, 4);
  readonly client: TestClient;
  readonly servers: MemoryServerCore[];

  constructor(redundancy: "mirror" | "parity") {
    this.client = new TestClient({ redundancy });
    this.servers = [...this.rig.servers.values()];
    if (redundancy === "parity") this.servers.push(this.rig.core as unknown as MemoryServerCore);
    this.join(this.servers);
    for (const slot of SLOTS) this.client.write(slot, pageOf(slot));
    this.pass(1_000);
  }

  get parity(): MemoryServerCore {
    return this.servers.at(-1)!;
  }

  join(servers: readonly MemoryServerCore[]): void {
    for (const server of servers) this.client.join(server, server === this.servers[4] ? "parity" : "server");
    this.#settle();
  }

  #settle(): void {
    for (let i = 0; i < 10; i += 1) {
      this.client.pump();
      this.rig.pump();
    }
  }

  pass(ms: number): void {
    for (let i = 0; i < ms / 100; i += 1) {
      this.client.nowMs += 100;
      this.client.core.tick(this.client.nowMs);
      this.rig.pass(100);
      this.#settle();
    }
  }

  /** The client is cut off from these for more than their grace time; the others do not notice. */
  reap(servers: readonly MemoryServerCore[]): void {
    for (const wire of this.client.wires.filter((one) => servers.includes(one.server))) this.client.cut(wire);
    const { nowMs } = this.rig;
    for (const server of servers) {
      for (let ms = 0; ms < 11 * 60_000; ms += 1_000) {
        server.tick(nowMs + 1_000);
        server.tick(nowMs);
      }
    }
    this.join(servers);
  }

  /** The server that has the slot's page. */
  serverOf(slot: number): MemoryServerCore {
    const { core } = this.client;
    const { identity } = core.table.at(core.slots.holder(slot));
    const wire = this.client.wires.find((one) => one.link.peer?.identity === identity);
    return wire!.server;
  }

  frameOf(slot: number): number {
    return this.serverOf(slot).frameOf(CLIENT, this.client.core.slots.pageId(slot));
  }

  /** The server has lost the slot's page, and says nothing of it. */
  drop(slot: number): void {
    this.serverOf(slot).store.drop(this.frameOf(slot));
  }

  /** A bit of the slot's page flips where it is held. */
  flip(slot: number): void {
    const { store } = this.serverOf(slot);
    const frame = this.frameOf(slot);
    const page = pageOf(slot);
    page[17]! ^= 1;
    const meta = newPageMeta();
    store.describe(frame, store.ownerOf(frame), meta);
    store.rewrite(frame, meta, page, 0);
  }

  /** Slots whose page is in the same group as that of this one, itself left out. */
  othersOf(slot: number): number[] {
    const groups = this.client.core.redundancy.groups!;
    const group = groups.groupOf(groups.liveOf(slot));
    return SLOTS.filter((other) => other !== slot && groups.groupOf(groups.liveOf(other)) === group);
  }

  read(slots = SLOTS): Outcome[] {
    return slots.map((slot) => this.client.read(slot));
  }

  get figures(): { lost: number; unprotected: number } {
    const { lost, unprotected } = this.client.core.pages;
    return { lost, unprotected };
  }
}

const results = (reads: Outcome[]): Set<PageResult | undefined> => new Set(reads.map((read) => read.result));

describe.each(["parity", "mirror"] as const)(
  "servers that freed a client's pages while it was away (%s)",
  (mode) => {
    let cluster: Cluster;

    beforeEach(() => {
      cluster = new Cluster(mode);
    });

    it("all of them: reads hung for ever, and nothing was said to be lost", () => {
      cluster.reap(cluster.servers);
      cluster.pass(5_000);
      expect(cluster.figures).toEqual({ lost: SLOTS.length, unprotected: 0 });
      expect(cluster.client.notices).toContainEqual(
        expect.stringMatching(/^a page is lost slot=\d+ page=\d+ /),
      );
      const reads = cluster.read();
      cluster.pass(1_000);
      expect(results(reads)).toEqual(new Set([PageResult.LOST]));
      const again = cluster.client.write(3, pageOf(3));
      cluster.pass(1_000);
      expect(again.result).toBe(PageResult.OK);
      expect(cluster.client.read(3)).toBeDefined();
      expect(cluster.figures).toEqual({ lost: SLOTS.length - 1, unprotected: 0 });
    });

    it("one of them: its pages are made anew from the others, although nobody reads them", () => {
      const [first] = cluster.servers;
      cluster.reap([first!]);
      expect(cluster.figures.lost).toBe(0);
      cluster.pass(10_000);
      expect(cluster.figures).toEqual({ lost: 0, unprotected: 0 });
      expect(SLOTS.filter((slot) => cluster.frameOf(slot) < 0)).toEqual([]);
      const reads = cluster.read();
      cluster.pass(1_000);
      for (const slot of SLOTS) expect(reads[slot]!.bytes).toEqual(pageOf(slot));
      const { table } = cluster.client.core;
      expect(table.holders.filter((holder) => holder.state === "dead")).toEqual([]);
    });
  },
);

describe("a parity server that freed a client's pages while it was away", () => {
  it("has them made anew", () => {
    const cluster = new Cluster("parity");
    cluster.reap([cluster.parity]);
    cluster.pass(10_000);
    expect(cluster.figures).toEqual({ lost: 0, unprotected: 0 });
    expect(cluster.parity.store.held).toBeGreaterThanOrEqual(SLOTS.length / 4);
  });
});

describe("a page that its server, which stands, does not have", () => {
  let cluster: Cluster;

  beforeEach(() => {
    cluster = new Cluster("parity");
  });

  it("is made from the others of its group", () => {
    cluster.drop(5);
    const [read] = cluster.read([5]);
    cluster.pass(1_000);
    expect(read!.bytes).toEqual(pageOf(5));
    expect(cluster.figures).toEqual({ lost: 0, unprotected: 0 });
    expect(cluster.frameOf(5)).toBeGreaterThanOrEqual(0);
  });

  it("nor the others of its group theirs: it is lost, and no other page is", () => {
    const [other] = cluster.othersOf(5);
    cluster.drop(5);
    cluster.drop(other!);
    const reads = cluster.read([5]);
    cluster.pass(20_000);
    expect(results(reads)).toEqual(new Set([PageResult.LOST]));
    expect(cluster.figures).toEqual({ lost: 2, unprotected: 0 });
    const rest = cluster.read(SLOTS.filter((slot) => slot !== 5 && slot !== other));
    cluster.pass(1_000);
    expect(results(rest)).toEqual(new Set([PageResult.OK]));
  });

  it("is made by the client if the parity server cannot reach the others: its readers waited for that", () => {
    cluster.rig.reach = "no";
    for (const wire of [...cluster.rig.wires]) cluster.rig.cut(wire);
    cluster.drop(5);
    const [read] = cluster.read([5]);
    cluster.pass(10_000);
    expect(read!.bytes).toEqual(pageOf(5));
    expect(cluster.figures.lost).toBe(0);
    expect(cluster.figures.unprotected).toBeGreaterThan(0);
    cluster.rig.reach = "yes";
    cluster.pass(10_000);
    expect(cluster.figures).toEqual({ lost: 0, unprotected: 0 });
  });

  it("is lost if the parity server, which cannot reach the others, does not have the parity either", () => {
    cluster.rig.reach = "no";
    for (const wire of [...cluster.rig.wires]) cluster.rig.cut(wire);
    cluster.drop(5);
    const { groups } = cluster.client.core.redundancy;
    const frame = cluster.parity.frameOf(CLIENT, groups!.parityId[groups!.groupOf(groups!.liveOf(5))]!);
    cluster.parity.store.drop(frame);
    const [read] = cluster.read([5]);
    cluster.pass(40_000);
    expect(read!.result).toBe(PageResult.LOST);
    expect(cluster.client.core.frames.used).toBe(0);
  });
});

describe("pages of a server that is gone", () => {
  it("are read although the parity server does not reach the others", () => {
    const cluster = new Cluster("parity");
    cluster.rig.reach = "no";
    for (const wire of [...cluster.rig.wires]) cluster.rig.cut(wire);
    const [gone] = cluster.servers;
    const slots = SLOTS.filter((slot) => cluster.serverOf(slot) === gone);
    cluster.client.cut(cluster.client.wires.find((one) => one.server === gone)!);
    cluster.pass(5_000);
    const reads = cluster.read();
    cluster.pass(5_000);
    for (const slot of SLOTS) expect(reads[slot]!.bytes).toEqual(pageOf(slot));
    expect(slots.length).toBeGreaterThan(4);
    expect(cluster.client.core.frames.used).toBe(0);
  });
});

describe("a page that has changed in the memory of its server", () => {
  it("while the others of its group are missing: it is lost, and its readers are told", () => {
    const cluster = new Cluster("parity");
    cluster.flip(5);
    for (const other of cluster.othersOf(5)) cluster.drop(other);
    const [read] = cluster.read([5]);
    cluster.pass(20_000);
    expect(read!.result).toBe(PageResult.LOST);
  });

  it("while another of its group was lost before any parity was sent: its readers hung for ever", () => {
    const cluster = new Cluster("parity");
    cluster.client.cut(cluster.client.wires.find((one) => one.server === cluster.parity)!);
    for (const slot of SLOTS) cluster.client.write(slot, pageOf(slot));
    cluster.pass(1_000);
    const [other] = cluster.othersOf(5);
    const lost = SLOTS.filter((slot) => cluster.serverOf(slot) === cluster.serverOf(other!));
    cluster.flip(5);
    cluster.reap([cluster.serverOf(other!)]);
    const [read] = cluster.read([5]);
    cluster.pass(20_000);
    expect(read!.result).toBe(PageResult.LOST);
    expect(cluster.figures.lost).toBe(1);
    // The others of that server can still be made, but for what shared a group with this one.
    expect(lost.length).toBeGreaterThan(1);
  });

  it("is remembered, if it cannot be made anew at once", () => {
    const cluster = new Cluster("parity");
    cluster.flip(5);
    const before = cluster.client.core.slots.pageId(5);
    // Nobody takes pages for now.
    for (const holder of cluster.client.core.table.servers) holder.full = true;
    const [read] = cluster.read([5]);
    cluster.client.pump();
    cluster.rig.pump();
    expect(cluster.figures.unprotected).toBeGreaterThan(0);
    cluster.pass(5_000);
    expect(read!.bytes).toEqual(pageOf(5));
    expect(cluster.client.core.slots.pageId(5)).not.toBe(before);
    expect(cluster.figures).toEqual({ lost: 0, unprotected: 0 });
  });
});

describe("a mirrored page that its server does not have any more", () => {
  it("and whose copy has changed: it was read for ever, and neither lost nor found", () => {
    const cluster = new Cluster("mirror");
    const { core } = cluster.client;
    const groups = core.redundancy.groups!;
    const group = groups.groupOf(groups.liveOf(5));
    const { identity } = core.table.at(groups.parityHolder[group]!);
    const { server } = cluster.client.wires.find((one) => one.link.peer?.identity === identity)!;
    const { store } = server;
    const frame = server.frameOf(CLIENT, groups.parityId[group]!);
    const meta = newPageMeta();
    store.describe(frame, store.ownerOf(frame), meta);
    store.rewrite(frame, meta, pageOf(1_000), 0);
    cluster.drop(5);
    const [read] = cluster.read([5]);
    cluster.pass(20_000);
    expect(read!.result).toBe(PageResult.LOST);
    expect(cluster.figures).toEqual({ lost: 1, unprotected: 0 });
  });
});
