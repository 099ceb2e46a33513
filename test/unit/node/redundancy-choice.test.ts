import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import { sayIfUnprotected } from "../../../src/node/redundancy-choice.ts";

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
