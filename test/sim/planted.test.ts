import { describe, expect, it } from "vitest";
import { runSeed } from "../../src/sim/simulation.ts";
import { PLANTS, withFlippedBits } from "./planted.ts";
import { PARITY_PLANTS } from "./planted-parity.ts";

const plainly = <T>(run: () => T): T => run();

describe("the checkers find that", () => {
  for (const { name, hooks, options, seeds, finds, flipped, around } of [...PLANTS, ...PARITY_PLANTS]) {
    it(`${name} (within ${seeds} seeds)`, () => {
      const found: string[] = [];
      for (let seed = 1; seed <= seeds && found.length === 0; seed += 1) {
        const { violation } =
          flipped === true
            ? withFlippedBits((server) => runSeed(seed, options, { ...hooks, server }))
            : (around ?? plainly)(() => runSeed(seed, options, hooks));
        if (violation !== undefined) found.push(violation.message);
      }
      expect(found[0] ?? "nothing").toMatch(finds);
    });
  }

  it("nothing, when none is planted", () => {
    for (const options of new Set([...PLANTS, ...PARITY_PLANTS].map((plant) => plant.options))) {
      expect(runSeed(1, options).violation?.message).toBeUndefined();
    }
  });

  it("nothing, when a server flips bits and checksums are verified", () => {
    for (const seed of [1, 2]) {
      const { violation } = withFlippedBits((server) => runSeed(seed, PLANTS[0]!.options, { server }));
      expect(violation?.message).toBeUndefined();
    }
  });
});
