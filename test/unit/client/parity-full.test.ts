import { describe, expect, it } from "vitest";
import { PageResult } from "../../../src/client/page-waiter.ts";
import type { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { memoryServer, type Outcome, pageOf, TestClient } from "../../support/cores.ts";
import { hexOf, Rig } from "../parity/rig.ts";

/** A client with groups of four over four memory servers and a parity server of so many frames. */
class Cluster extends TestClient {
  readonly rig: Rig;
  #random = 1;

  constructor(parityFrames: number, servers = 4, groupSize = 4, accumulators?: number) {
    super({ redundancy: "parity", groupSize, ...(accumulators === undefined ? {} : { accumulators }) });
    this.rig = new Rig({ capacityFrames: parityFrames }, servers);
    for (const server of this.rig.servers.values()) this.join(server);
    this.join(this.rig.core as unknown as MemoryServerCore, "parity");
    this.settle();
  }

  settle(): void {
    for (let i = 0; i < 4; i += 1) {
      this.pump();
      this.rig.pump();
    }
  }

  /** The memory server of this number is gone. */
  kill(number: number): void {
    this.cut(this.wires.find((wire) => wire.server === this.rig.servers.get(number))!);
    this.rig.stopServer(number);
    this.core.serverLost(hexOf(number), "gone");
  }

  /** Writes all slots below, and then as often as many of them in an order without a pattern. */
  overwrite(slots: number, times: number): void {
    for (let i = 0; i < slots * (times + 1); i += 1) {
      this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
      const slot = i < slots ? i : (this.#random >>> 12) % slots;
      this.write(slot, pageOf(i));
      if (i % 8 === 7) this.settle();
      if (i % 64 === 63) this.pass(100);
    }
    this.settle();
  }

  pass(ms: number): void {
    for (let i = 0; i < ms / 100; i += 1) {
      this.nowMs += 100;
      this.core.tick(this.nowMs);
      this.rig.pass(100);
      this.settle();
    }
  }
}

/** So many pages; there is room for the parity of 64 groups of four. */
function fullOf(pages: number): Cluster {
  const cluster = new Cluster(64, 7);
  for (let slot = 0; slot < pages; slot += 1) cluster.write(slot, pageOf(slot));
  cluster.settle();
  cluster.pass(3_000);
  return cluster;
}

/** The slots whose reads did not give what was written to them. */
function notRead(reads: Outcome[]): number[] {
  return [...reads.keys()].filter((slot) => {
    const { bytes } = reads[slot]!;
    return bytes === undefined || !Buffer.from(bytes).equals(pageOf(slot));
  });
}

describe("a parity server that is full", () => {
  it("took parity pages from clients until it had no room left to merge groups", () => {
    const cluster = new Cluster(128);
    for (let slot = 0; slot < 720; slot += 1) cluster.write(slot, pageOf(slot));
    cluster.settle();
    cluster.pass(1_000);
    const { limit, used, free } = cluster.rig.core.capacity;
    expect({ limit, used, free }).toEqual({ limit: 128, used: 124, free: 0 });
    expect(cluster.core.pages.unprotected).toBeGreaterThan(0);
  });

  it("left reads without an answer when a memory server died: the client alone had what makes up for them", () => {
    const cluster = fullOf(700);
    expect(cluster.core.pages.unprotected).toBeGreaterThan(100);
    cluster.kill(1);
    const reads = [...Array(700).keys()].map((slot) => cluster.read(slot));
    cluster.pass(5_000);
    expect(notRead(reads)).toEqual([]);
    expect(cluster.core.pages).toMatchObject({ live: 700, lost: 0 });
    expect(cluster.core.frames.used).toBe(0);
  });

  it("reads go on when a second server ends while what makes up for the first is fetched", () => {
    const cluster = fullOf(700);
    cluster.kill(1);
    const reads = [...Array(700).keys()].map((slot) => cluster.read(slot));
    // What was asked for is lost with the link; the server itself is still there.
    cluster.turn();
    const wire = cluster.wires.find(({ server }) => server === cluster.rig.servers.get(2))!;
    cluster.cut(wire);
    cluster.pass(1_000);
    cluster.join(wire.server);
    cluster.pass(5_000);
    expect(notRead(reads)).toEqual([]);
    expect(cluster.core.frames.used).toBe(0);
  });

  it("a page is lost where two servers of a group are gone that only the client has the parity of", () => {
    const cluster = fullOf(700);
    cluster.kill(1);
    cluster.kill(2);
    const reads = [...Array(700).keys()].map((slot) => cluster.read(slot));
    cluster.pass(5_000);
    expect(reads.filter(({ done }) => !done)).toEqual([]);
    expect(cluster.core.pages.lost).toBeGreaterThan(0);
    for (const slot of notRead(reads)) expect(reads[slot]!.result).toBe(PageResult.LOST);
  });

  it("a read of a page ends where another server of its group stands, but lacks what would make up for it", () => {
    const client = new TestClient({ redundancy: "parity" });
    const wires = ["a", "b"].map((name) => client.join(memoryServer(name)));
    for (const slot of [0, 1]) {
      client.write(slot, pageOf(slot));
      client.pump();
    }
    const [gone, lacking] = [0, 1].map((slot) => client.core.slots.holder(slot));
    wires.find(({ link }) => link.holder === lacking)!.server.store.drop(0);
    const { identity } = client.core.table.at(gone!);
    client.cut(wires.find(({ link }) => link.holder === gone)!);
    client.core.serverLost(identity, "gone");
    const read = client.read(0);
    for (let i = 0; i < 100; i += 1) {
      client.nowMs += 100;
      client.core.tick(client.nowMs);
      client.pump();
    }
    expect(read.result).toBe(PageResult.LOST);
  });
});

describe("a parity server with hardly more frames than there are groups", () => {
  it("merges that found no frame held up all else: most pages were unprotected beside free frames", () => {
    const cluster = new Cluster(173);
    cluster.overwrite(576, 3);
    expect(cluster.core.pages.unprotected).toBeLessThan(64);
    cluster.pass(5_000);
    expect(cluster.core.pages).toMatchObject({ live: 576, lost: 0, unprotected: 0 });
    expect(cluster.rig.core.snapshot().parity.full).toBeLessThan(8);
  });

  it.each([
    [4, 4, 576, 159],
    [6, 8, 864, 152],
    [8, 8, 1_152, 173],
  ])(
    "pages stayed without any parity beside the places of dead ones: groups of %i on %i servers",
    (size, servers, pages, frames) => {
      const accumulators = 16;
      const cluster = new Cluster(frames, servers, size, accumulators);
      cluster.overwrite(pages, 3);
      cluster.pass(10_000);
      expect(cluster.core.pages).toMatchObject({ live: pages, lost: 0 });
      // What the client can make from its accumulators waits there.
      expect(cluster.core.pages.unprotected).toBeLessThanOrEqual(accumulators * size);
      const { composed, full, pagesFetched } = cluster.rig.core.snapshot().parity;
      cluster.pass(10_000);
      expect(cluster.rig.core.snapshot().parity).toMatchObject({ composed, full, pagesFetched });
    },
  );

  it.each([130, 100])(
    "what has no place stays unprotected, and nothing is tried for ever: %i frames",
    (frames) => {
      const cluster = new Cluster(frames);
      cluster.overwrite(576, 3);
      cluster.pass(10_000);
      const { unprotected } = cluster.core.pages;
      expect(unprotected).toBeGreaterThan(576 - frames * 4);
      const { composed, full, pagesFetched } = cluster.rig.core.snapshot().parity;
      cluster.pass(10_000);
      expect(cluster.rig.core.snapshot().parity).toMatchObject({ composed, full, pagesFetched });
      expect(cluster.core.pages.unprotected).toBe(unprotected);
    },
  );
});
