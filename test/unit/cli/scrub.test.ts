import { afterEach, describe, expect, it } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import { main } from "../../../src/cli/main.ts";
import type { NodeRole, ScrubFigures } from "../../../src/membership/node-record.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { FakeHost } from "./fake-host.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const noted: ScrubFigures = {
  ...{ state: "idle", done: 0, total: 8 },
  ...{ scrubbed: 5, skipped: 6, mismatches: 7, passes: 2 },
};

async function startNode(name: string, role: NodeRole, scrub?: FakeScrub, seeds: ControlPlane[] = []) {
  const plane = await ControlPlane.start({
    ...{ listen: { host: "127.0.0.1", port: 0 }, name, role, identity: newIdentity(), log: silentLog },
    seeds: seeds.map((seed) => seed.address),
    self: () => ({
      ...{ data: "127.0.0.1:7", frames: { used: 1, free: 7, limit: 8 }, draining: false },
      ...(scrub === undefined ? {} : { scrub: scrub.look() }),
    }),
    port: { nodeUp() {}, nodeChanged() {}, nodeGone() {} },
    ...(scrub === undefined ? {} : { scrub: () => scrub.begin() }),
  });
  cleanups.push(() => plane.close());
  return plane;
}

/** A pass that goes on with each look at it. */
class FakeScrub {
  begun = 0;
  #figures = noted;

  constructor(readonly mismatches: number) {}

  begin(): void {
    this.begun += 1;
    this.#figures = { ...this.#figures, state: "running" };
  }

  look(): ScrubFigures {
    const now = this.#figures;
    if (now.state === "running") {
      const done = now.done + 1;
      this.#figures = { ...now, done };
      if (done === 8) {
        const { scrubbed, mismatches, passes } = noted;
        const counts = {
          scrubbed: scrubbed + 3,
          mismatches: mismatches + this.mismatches,
          passes: passes + 1,
        };
        this.#figures = { ...now, ...counts, state: "idle", done };
      }
    }
    return now;
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 30_000) throw new Error("never came about");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function run(control: string, ...more: string[]) {
  const host = new FakeHost();
  const status = await main(["scrub", "--control", control, ...more], host);
  return { status, out: host.out, err: host.err };
}

describe("nswap scrub", () => {
  it("has every parity server check its groups, shows progress, and fails where a mismatch is found", async () => {
    const [fine, wrong] = [new FakeScrub(0), new FakeScrub(1)];
    const first = await startNode("p1", "parity", fine);
    const second = await startNode("p2", "parity", wrong, [first]);
    await until(() => second.status().nodes.length === 2);
    const { status, out, err } = await run(second.advertised);
    expect({ status, err }).toEqual({ status: 1, err: "" });
    expect(out).toMatch(/^p1: \d of 8 frames \[[#.]{10}\] \d+%$/m);
    expect(out).toMatch(/^p1: 3 groups compared, 0 skipped, 0 mismatches$/m);
    expect(out).toMatch(/^p2: 3 groups compared, 0 skipped, 1 mismatch$/m);
    expect([fine.begun, wrong.begun]).toEqual([1, 1]);
  });

  it("takes the name of one, and is fine where nothing is wrong", async () => {
    const [fine, wrong] = [new FakeScrub(0), new FakeScrub(1)];
    const first = await startNode("p1", "parity", fine);
    const second = await startNode("p2", "parity", wrong, [first]);
    await until(() => second.status().nodes.length === 2);
    expect((await run(second.advertised, "p1")).status).toBe(0);
    expect([fine.begun, wrong.begun]).toEqual([1, 0]);
    const unknown = await run(second.advertised, "p3");
    expect(unknown.status).toBe(1);
    expect(unknown.err).toContain('"p3" is no parity server of this cluster; accepted: p1, p2');
    expect((await run(second.advertised, "p1", "p2")).err).toContain("unknown option or argument");
  });

  it("says that there is no parity server, that one is down, or that nobody answers", async () => {
    const server = await startNode("s1", "server");
    const none = await run(server.advertised);
    expect(none).toMatchObject({ status: 1, out: "" });
    expect(none.err).toContain("no parity server");
    const parity = await startNode("p1", "parity", new FakeScrub(0), [server]);
    await until(() => server.status().nodes.length === 2);
    await parity.close();
    const down = await run(server.advertised);
    expect(down.status).toBe(1);
    expect(down.err).toMatch(/p1: .*cannot be reached/);
    await server.close();
    expect((await run(server.advertised)).err).toContain("cannot be reached");
  });
});
