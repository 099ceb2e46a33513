import { describe, expect, it } from "vitest";
import { Prng } from "../../../src/base/prng.ts";

describe("Prng", () => {
  it("repeats itself from a seed and differs between seeds", () => {
    const draw = (seed: number) => {
      const prng = new Prng(seed);
      return Array.from({ length: 100 }, () => prng.next());
    };
    expect(draw(42)).toEqual(draw(42));
    expect(draw(42)).not.toEqual(draw(43));
    expect(draw(2 ** 40)).not.toEqual(draw(2 ** 41));
    expect(draw(5)).not.toEqual(draw(-5));
  });

  it("stays in range and reaches all of it evenly", () => {
    const prng = new Prng(1);
    const counts = new Array(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[prng.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(600);
    for (let i = 0; i < 1000; i++) {
      const value = prng.next();
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** 32).toBe(true);
    }
  });

  it("takes chances as often as told", () => {
    const prng = new Prng(9);
    let hits = 0;
    for (let i = 0; i < 10_000; i++) {
      if (prng.chance(0.25)) hits++;
      expect(prng.chance(0)).toBe(false);
      expect(prng.chance(1)).toBe(true);
    }
    expect(Math.abs(hits - 2_500)).toBeLessThan(250);
  });
});
