import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { PAGE_BYTES } from "../../../src/base/page.ts";
import { CapacityPolicy } from "../../../src/server/capacity-policy.ts";

const MiB = 1024 ** 2;
const framesOf = (bytes: number): number => bytes / PAGE_BYTES;
const capacityFrames = framesOf(1024 * MiB);
const reserveBytes = 256 * MiB;
const newPolicy = (): CapacityPolicy => new CapacityPolicy({ capacityFrames, reserveBytes });

describe("what a server lends", () => {
  it("is its capacity, and no more than is available beside the reserve and what it has taken already", () => {
    const policy = newPolicy();
    expect(policy.look(4096 * MiB, 0, 0)).toBe(capacityFrames);
    expect(policy.look(reserveBytes + 512 * MiB, 0, 1)).toBe(framesOf(512 * MiB));
    expect(policy.look(reserveBytes + 312 * MiB, framesOf(200 * MiB), 2)).toBe(framesOf(512 * MiB));
    expect(policy.look(reserveBytes + limits.lendUnitBytes - 1, 100, 3)).toBe(100);
    expect(policy.short).toBe(false);
  });

  it("is nothing new while less than the reserve is available, and for a while after", () => {
    const policy = newPolicy();
    const calm = reserveBytes + limits.reserveMarginBytes;
    expect(policy.look(reserveBytes - 1, 1000, 0)).toBe(0);
    expect(policy.look(calm - 1, 1000, 60_000)).toBe(0);
    expect(policy.look(calm, 1000, 61_000)).toBe(0);
    expect(policy.look(calm - 1, 1000, 62_000)).toBe(0);
    expect(policy.look(calm, 1000, 63_000)).toBe(0);
    expect(policy.look(calm, 1000, 63_000 + limits.memoryCalmMs - 1)).toBe(0);
    expect(policy.short).toBe(true);
    expect(policy.look(calm, 1000, 63_000 + limits.memoryCalmMs)).toBe(
      1000 + framesOf(limits.reserveMarginBytes),
    );
    expect(policy.short).toBe(false);
  });
});
