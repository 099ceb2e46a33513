import { beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import type { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";
import { Rig } from "../parity/rig.ts";

const LIVE = 256;
/** Frames of each of four memory servers: a quarter more than there are live pages. */
const FRAMES = (LIVE * 1.25) / 4;

/** Until room is made without a parity server. */
const TAKEN_MS = limits.roomPatienceMs + 4_000;

/** A client with groups of four, that overwrites its pages in an order without a pattern. */
class Cluster extends TestClient {
  readonly rig: Rig;
  #random = 1;
  #writes = 0;
  /** What each slot was written last. */
  readonly written = new Map<number, number>();

  constructor(parityFrames = 512) {
    super({ redundancy: "parity", accumulators: 16 });
    this.rig = new Rig({ capacityFrames: parityFrames }, 4);
    for (let i = 1; i <= 4; i += 1) this.join(this.rig.startServer(i, { capacityFrames: FRAMES }));
    this.joinParity();
    for (let slot = 0; slot < LIVE; slot += 1) this.#write(slot);
    this.pass(1_000);
  }

  get #parity(): MemoryServerCore {
    return this.rig.core as unknown as MemoryServerCore;
  }

  joinParity(): void {
    this.join(this.#parity, "parity");
    this.#settle();
  }

  /** The link to the parity server ends, and nobody knows whether it is still there. */
  cutParity(): void {
    this.cut(this.wires.find((wire) => wire.server === this.#parity && !wire.cut)!);
  }

  #settle(): void {
    for (let i = 0; i < 10; i += 1) {
      this.pump();
      this.rig.pump();
    }
  }

  pass(ms: number): void {
    for (let i = 0; i < ms / 100; i += 1) {
      this.nowMs += 100;
      this.core.tick(this.nowMs);
      this.rig.pass(100);
      this.#settle();
    }
  }

  #write(slot: number): { done: boolean; result?: PageResult | undefined } {
    this.#writes += 1;
    this.written.set(slot, this.#writes);
    return this.write(slot, pageOf(this.#writes));
  }

  /** Overwrites so many pages one after the other; those that were not taken in time. */
  overwrite(pages: number): number {
    let late = 0;
    for (let i = 0; i < pages && late < 3; i += 1) {
      this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
      const outcome = this.#write((this.#random >>> 16) % LIVE);
      this.#settle();
      for (let ms = 0; ms < TAKEN_MS && !outcome.done; ms += 100) this.pass(100);
      if (!outcome.done) late += 1;
    }
    return late;
  }

  /** Slots that do not read as they were written. */
  get wrong(): number[] {
    const reads = new Map([...this.written.keys()].map((slot) => [slot, this.read(slot)]));
    this.pass(5_000);
    return [...reads]
      .filter(([slot, { bytes }]) => {
        return bytes === undefined || !Buffer.from(bytes).equals(pageOf(this.written.get(slot)!));
      })
      .map(([slot]) => slot);
  }
}

describe("memory servers that dead pages fill", () => {
  let cluster: Cluster;

  beforeEach(() => {
    cluster = new Cluster();
  });

  it("while all is well", () => {
    expect(cluster.overwrite(2 * LIVE)).toBe(0);
    expect(cluster.wrong).toEqual([]);
    expect(cluster.core.pages).toMatchObject({ lost: 0, unprotected: 0 });
  });

  it("while the only parity server is away: writes waited for it without end", () => {
    cluster.cutParity();
    cluster.pass(2_000);
    expect(cluster.overwrite(2 * LIVE)).toBe(0);
    expect(cluster.notices.join()).toContain("the parity of groups was given up");
    cluster.joinParity();
    cluster.pass(10_000);
    expect(cluster.core.pages).toMatchObject({ lost: 0, unprotected: 0 });
    expect(cluster.wrong).toEqual([]);
  });

  it("while the parity server reaches none of them: writes waited for that without end", () => {
    cluster.rig.reach = "no";
    for (const wire of [...cluster.rig.wires]) cluster.rig.cut(wire);
    expect(cluster.overwrite(2 * LIVE)).toBe(0);
    // Any of them may be the next to lose its parity.
    expect(cluster.core.pages).toMatchObject({ lost: 0, unprotected: LIVE });
    cluster.rig.reach = "yes";
    cluster.pass(12_000);
    expect(cluster.core.pages).toMatchObject({ lost: 0, unprotected: 0 });
    expect(cluster.wrong).toEqual([]);
  });

  it("while the parity server is full: writes waited for that without end", () => {
    cluster = new Cluster(LIVE / 4 + 2);
    expect(cluster.overwrite(2 * LIVE)).toBe(0);
    expect(cluster.core.pages).toMatchObject({ lost: 0 });
    expect(cluster.wrong).toEqual([]);
  });
});

it("a write waited a second for the room that a page had left which is no more", () => {
  const client = new TestClient();
  client.join(memoryServer("a", 8));
  for (let slot = 0; slot < 8; slot += 1) client.write(slot, pageOf(slot));
  client.pump();
  const late = client.write(8, pageOf(8));
  client.pump();
  expect(late.done).toBe(false);
  client.write(0, new Uint8Array(4096));
  client.pump();
  expect(late).toMatchObject({ done: true, result: PageResult.OK });
});
