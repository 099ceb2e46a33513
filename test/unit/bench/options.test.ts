import { describe, expect, test } from "vitest";
import { type BenchOptions, parseOptions } from "../../bench/options.ts";

const parsed = (...argv: string[]): BenchOptions => parseOptions(argv) as BenchOptions;

describe("the benchmark's options", () => {
  test("without a link, all targets run the workloads that the goals are for", () => {
    const { targets, workloads, linkMbit } = parsed();
    expect(targets).toContain("nbdkit-two-hops");
    expect(workloads.map(({ name }) => name)).toContain("4k-d1");
    expect(linkMbit).toBe(0);
  });

  test("behind a link only clusters run, and writes alone if not said otherwise", () => {
    const { targets, workloads, linkMbit } = parsed("--link", "1000");
    expect(targets).toEqual(["nswap", "nswap-mirror", "nswap-parity"]);
    expect(workloads.map(({ name }) => name)).toEqual(["4k-d32-write"]);
    expect(linkMbit).toBe(1000);
    expect(() => parsed("--link", "1000", "--targets", "front-memory")).toThrow(/accepted are nswap, /);
  });

  test("machine and devices are prepared for long requests unless they are to be taken as they are", () => {
    expect(parsed().asItIs).toBe(false);
    expect(parsed("--as-it-is").asItIs).toBe(true);
  });

  test.each([
    [["--link", "0.5"], /--link 0.5: a whole number from 0/],
    [["--link", "1000", "--rebuild", "256"], /--link 1000: not with --rebuild/],
    [["--link", "1000", "--check"], /--link 1000: not with --check/],
    [["--rounds", "0"], /--rounds 0: a whole number from 1/],
    [["--only", "5k"], /--only 5k: accepted are 4k-d1/],
    [["--size", "1"], /--size 1: a whole number from 64/],
    [["--lnik", "1"], /--lnik/],
  ])("%j is refused, with what is accepted", (argv, message) => {
    expect(() => parsed(...argv)).toThrow(message);
  });
});
