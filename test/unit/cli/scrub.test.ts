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
  ...{ scrubbed: 5, skipped: 6, unreachable: 4, mismatches: 7, passes: 2 },
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

  constructor(
    readonly mismatches: number,
    readonly compared = 3,
    readonly skipped = 0,
    readonly unreachable = 0,
  ) {}

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
        const { scrubbed, skipped, unreachable, mismatches, passes } = noted;
        const counts = {
          scrubbed: scrubbed + this.compared,
          skipped: skipped + this.skipped,
          unreachable: unreachable + this.unreachable,
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

  it.each([
    ["nothing was compared", [0, 0, 9, 9], 1, "no group was compared, so nothing is proved"],
    ["all pages had moved", [0, 0, 9, 0], 1, "no group was compared, so nothing is proved"],
    [
      "a memory server did not answer",
      [0, 7, 2, 2],
      1,
      "2 groups were not compared: a memory server of theirs",
    ],
    ["clients were writing", [0, 7, 2, 0], 0, "2 groups were not compared: a page is no longer where it was"],
  ] as const)("does not take it for proof that %s", async (_what, figures, status, sentence) => {
    const node = await startNode(
      "p1",
      "parity",
      new FakeScrub(...(figures as [number, number, number, number])),
    );
    const result = await run(node.advertised);
    expect(result).toMatchObject({ status, err: "" });
    expect(result.out).toContain(`p1: ${sentence}`);
  });

  it("says which memory servers were not there to compare with", async () => {
    const parity = await startNode("p1", "parity", new FakeScrub(0, 0, 5, 5));
    const server = await startNode("s1", "server", undefined, [parity]);
    await until(() => parity.status().nodes.length === 2);
    await server.close();
    await until(() => parity.status().nodes.some(({ state }) => state === "suspect"));
    expect((await run(parity.advertised)).out).toContain(
      "p1: 5 groups were not compared: a memory server of theirs does not answer (not up: s1)\n",
    );
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
