import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import { sayIfUnprotected, seesParity } from "../../../src/node/redundancy-choice.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it.each([
  ["parity", { servers: 4, parity: 0 }, "no parity server is linked"],
  ["parity", { servers: 4, parity: 1 }, null],
  ["mirror", { servers: 1, parity: 1 }, "fewer than two memory servers"],
  ["mirror", { servers: 2, parity: 0 }, null],
  ["none", { servers: 0, parity: 0 }, null],
] as const)("a client with %s linked to %j says: %s", (redundancy, links, said) => {
  const warnings: string[] = [];
  // Nobody is there at the very start, and that is nothing to be said.
  let now = { servers: 0, parity: 0 };
  sayIfUnprotected(redundancy, () => now, { ...silentLog, warn: (text) => warnings.push(text) });
  vi.advanceTimersByTime(1_000);
  expect(warnings).toEqual([]);
  now = links;
  vi.advanceTimersByTime(60_000);
  expect(warnings).toEqual(said === null ? [] : [expect.stringContaining(said)]);
});

it.each([
  ["up", true],
  ["suspect", true],
  ["down", false],
  ["draining", false],
] as const)("a parity server that is %s is one to choose parity by: %s", (state, chosen) => {
  const node = { name: "p", pid: 1, data: "10.0.0.1:1", control: "10.0.0.1:2" };
  const nodes = [{ ...node, role: "parity", state, frames: { used: 0, free: 1, limit: 1 } } as const];
  expect(seesParity({ nodes })).toBe(chosen);
});

it("a memory server is no parity server", () => {
  const frames = { used: 0, free: 1, limit: 1 };
  const node = {
    name: "s",
    role: "server",
    state: "up",
    pid: 1,
    data: null,
    control: "10.0.0.1:2",
    frames,
  } as const;
  expect(seesParity({ nodes: [node] })).toBe(false);
});
