import { describe, expect, it } from "vitest";
import type { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { pageOf, TestClient } from "../../support/cores.ts";
import { Rig } from "../parity/rig.ts";

/** A client with groups of four over four memory servers and a parity server of so many frames. */
class Cluster extends TestClient {
  readonly rig: Rig;

  constructor(parityFrames: number) {
    super({ redundancy: "parity" });
    this.rig = new Rig({ capacityFrames: parityFrames }, 4);
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

  pass(ms: number): void {
    for (let i = 0; i < ms / 100; i += 1) {
      this.nowMs += 100;
      this.core.tick(this.nowMs);
      this.rig.pass(100);
      this.settle();
    }
  }
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
});
