import { afterEach, describe, expect, it, vi } from "vitest";
import { Doubts } from "../../src/redundancy/doubts.ts";
import { Parting } from "../../src/redundancy/parting.ts";
import { Reprotection } from "../../src/redundancy/reprotection.ts";
import { runSeed } from "../../src/sim/simulation.ts";
import { PLANTS, withFlippedBits } from "./planted.ts";
import {
  contended,
  grouped,
  mirrored,
  PARITY_PLANTS,
  rotting,
  rottingMirror,
  severed,
  tellOfMismatches,
  vanishing,
} from "./planted-parity.ts";

const plainly = <T>(run: () => T): T => run();

describe("the checkers find that", () => {
  afterEach(() => void vi.restoreAllMocks());

  for (const { name, hooks, options, seeds, finds, flipped, around } of [...PLANTS, ...PARITY_PLANTS]) {
    it(`${name} (within ${seeds} seeds)`, () => {
      const found: string[] = [];
      for (let seed = 1; seed <= seeds && found.length === 0; seed += 1) {
        const { violation } =
          flipped === true
            ? withFlippedBits((flips) => runSeed(seed, options, { ...hooks, ...flips }))
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
      const { violation } = withFlippedBits((flips) => runSeed(seed, PLANTS[0]!.options, flips));
      expect(violation?.message).toBeUndefined();
    }
  });

  it("nothing, when pages go bad in the memory of servers: what the scrub finds is made anew", () => {
    let pages = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const { violation, rotten } = runSeed(seed, rotting);
      expect(violation && `seed ${seed}: ${violation.message}`).toBeUndefined();
      pages += rotten;
    }
    expect(pages).toBeGreaterThan(100);
  });

  it.each([
    { what: "pages vanish from servers of both kinds that stand", options: vanishing },
    { what: "pages of a mirror vanish", options: { ...vanishing, ...mirrored } },
    { what: "pages of a mirror go bad, or their copies", options: rottingMirror },
  ])("nothing, when $what", ({ options }) => {
    let pages = 0;
    for (let seed = 1; seed <= 8; seed += 1) {
      const { violation, rotten, vanished } = runSeed(seed, options);
      expect(violation && `seed ${seed}: ${violation.message}`).toBeUndefined();
      pages += rotten + vanished;
    }
    expect(pages).toBeGreaterThan(20);
  });

  it.each([
    { what: "parity servers do not reach some memory servers, and servers die meanwhile", options: severed },
    { what: "clients take turns with the links of parity servers", options: contended },
  ])("nothing, when $what", ({ options }) => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const { violation } = runSeed(seed, options);
      expect(violation && `seed ${seed}: ${violation.message}`).toBeUndefined();
    }
  });

  it.each([
    { pages: "good pages", options: grouped },
    { pages: "good pages and bad ones", options: rotting },
  ])("nothing, when a scrub finds $pages wrong, and says so again and again", ({ options }) => {
    const begun = vi.spyOn(Reprotection.prototype, "rebuildMember");
    let told = 0;
    const count = (): void => {
      told += 1;
    };
    for (let seed = 1; seed <= 15; seed += 1) {
      const { violation } = runSeed(seed, options, { client: (client) => tellOfMismatches(client, count) });
      expect(violation && `seed ${seed}: ${violation.message}`).toBeUndefined();
    }
    expect(told).toBeGreaterThan(1_000);
    expect(begun.mock.calls.length).toBeGreaterThan(400);
  });

  it("nothing, when servers of parity groups flip bits: what comes out wrong is doubted, and done again", () => {
    const wrong = vi.spyOn(Doubts.prototype, "failed");
    const scatter = vi.spyOn(Parting.prototype, "scatter");
    for (let seed = 1; seed <= 20; seed += 1) {
      const { violation } = withFlippedBits((flips) => runSeed(seed, grouped, flips), 30);
      expect(violation && `seed ${seed}: ${violation.message}`).toBeUndefined();
    }
    expect(wrong.mock.calls.length).toBeGreaterThan(50);
    expect(scatter.mock.calls.length).toBeGreaterThan(5);
  });
});
