import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type DeviceName, deviceNames } from "../../bench/seed/devices.ts";
import { figuresOf, type SeedRun } from "../../bench/seed/measure.ts";
import { parseOptions } from "../../bench/seed/options.ts";
import { figure, svgOf, ticksUpTo } from "../../bench/seed/plot.ts";
import { type SeedReport, toMarkdown, toSvg, writeReport } from "../../bench/seed/report.ts";
import { workNames } from "../../bench/seed/works.ts";
import { GuestConsole } from "../../system/guest/console.ts";

const machine = {
  ...{ cpuModel: "a processor", cpuCount: 2, memoryBytes: 2 ** 30, kernel: "6.1", node: "v20" },
  ...{ fio: "fio", nbdkit: "nbdkit", socketBufferBytes: 212_992, loadAtStart: 0 },
};

function run(device: DeviceName, round: number, seconds: number): SeedRun {
  const isDisk = !["none", "mirror", "parity"].includes(device);
  return {
    ...{ work: "sweep" as const, device, round, seconds, pagesOut: 100, pagesIn: 50, pagesPerSecond: 15 },
    ...{ writesPerPageOut: 0.05, sum: "" },
    messagesPerPageOut: isDisk ? undefined : 0.5,
    bytesPerPageOut: isDisk ? undefined : 4130,
  };
}

function report(runs: readonly SeedRun[], failures: readonly string[] = [], linkMbit = 0): SeedReport {
  const options = { rounds: 3, memoryMiB: 256, linkMbit, quick: false };
  return { startedAt: "now", machine, options, runs, failures, imagesInMemory: false };
}

describe("the axis", () => {
  test.each([
    [0, [0, 1]],
    [1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [7, [0, 1, 2, 3, 4, 5, 6, 7]],
    [93, [0, 20, 40, 60, 80, 100]],
    [428, [0, 100, 200, 300, 400, 500]],
  ])("up to %d has ticks %o", (most, ticks) => {
    expect(ticksUpTo(most)).toEqual(ticks);
  });

  test.each([0.001, 0.3, 3, 19.9, 777, 123_456])("reaches %d in few steps", (most) => {
    const ticks = ticksUpTo(most);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(most);
    expect(ticks.at(-2)).toBeLessThan(most);
    expect(ticks.length).toBeLessThanOrEqual(8);
  });

  test("figures have three digits", () => {
    expect([0.1234, 12.34, 123.4].map(figure)).toEqual(["0.12", "12.3", "123"]);
  });
});

test("a plot is well formed, whatever its words are", () => {
  const bar = { label: "a < b & c", colour: "#000000", value: 2, least: 1, most: 3 };
  const svg = svgOf({ title: "t", axis: "s", panels: [{ title: "p", bars: [bar] }], note: "n" });
  expect(svg).toContain("a &lt; b &amp; c");
  const opened = svg.match(/<(?!\/)[a-z]+[^>]*[^/]>/g)!.length;
  expect(opened).toBe(svg.match(/<\/[a-z]+>/g)!.length);
});

test("bars are as long as their medians, with whiskers to the extremes", () => {
  const svg = toSvg(report([run("none", 1, 10), run("none", 2, 30), run("none", 3, 20), run("hdd", 1, 40)]));
  const widths = [...svg.matchAll(/<rect [^>]* width='([\d.]+)' height='20'/g)].map((match) =>
    Number(match[1]),
  );
  expect(widths[0]! / widths[1]!).toBeCloseTo(2, 2);
});

test("the report has each device's median and range, and what did not work", () => {
  const text = toMarkdown(
    report(
      [run("none", 1, 10), run("none", 2, 30), run("none", 3, 20), run("hdd", 1, 400)],
      ["parity: no\nmore"],
    ),
  );
  expect(text).toMatch(/\| nswap none +\| 20\.0 \[10\.0 - 30\.0\] +\| .*4130 \|/);
  expect(text).toMatch(/\| hard disk \(model\) +\| 400 .* - \|/);
  expect(text).toContain("- parity: no");
  expect(text).not.toContain("more");
});

test("a link is named where there is one, and its report has files of its own", () => {
  const runs = [run("mirror", 1, 10), run("parity", 1, 8)];
  expect(toMarkdown(report(runs))).not.toContain("link");
  expect(toMarkdown(report(runs, [], 100))).toContain("a link of 100 Mbit/s each way");
  expect(toSvg(report(runs, [], 100))).toContain("a link of 100 Mbit/s each way");
  const folder = mkdtempSync(join(tmpdir(), "nswap-seed-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeReport(folder, report(runs));
  writeReport(folder, report(runs, [], 100));
  const files = ["json", "md", "svg"].flatMap((kind) => [`seed-link.${kind}`, `seed.${kind}`]);
  expect(readdirSync(folder).toSorted()).toEqual(files.toSorted());
});

test("figures are taken from what the guest and the client count", () => {
  const console = new GuestConsole();
  console.push(
    "NSWAP-RESULT workMs=2000 workPagesOut=300 workPagesIn=100 pagesOut=400 deviceWrites=20 workSum=",
  );
  const traffic = { pagesOut: 400, pagesIn: 0, messagesSent: 60, messagesAsking: 20, bytesSent: 1_680_000 };
  expect(figuresOf({ console }, { traffic })).toEqual({
    ...{ seconds: 2, pagesOut: 300, pagesIn: 100, pagesPerSecond: 200, writesPerPageOut: 0.05 },
    ...{ messagesPerPageOut: 0.1, bytesPerPageOut: 4200, sum: "" },
  });
  expect(figuresOf({ console }, undefined).bytesPerPageOut).toBeUndefined();
});

test("options choose devices and workloads, and name what is wrong", () => {
  expect(parseOptions([])).toMatchObject({
    rounds: 3,
    memoryMiB: 256,
    linkMbit: 0,
    works: workNames,
    devices: deviceNames,
  });
  expect(parseOptions(["--quick", "--devices", "hdd,parity"])).toMatchObject({
    ...{ rounds: 1, memoryMiB: 128, quick: true, devices: ["hdd", "parity"] },
  });
  expect(parseOptions(["--link", "100"])).toMatchObject({ linkMbit: 100 });
  expect(() => parseOptions(["--link", "fast"])).toThrow(/--link fast: a whole number from 0/);
  expect(() => parseOptions(["--devices", "tape"])).toThrow(/--devices tape: accepted are hdd/);
  expect(() => parseOptions(["--rounds", "0"])).toThrow(/--rounds 0/);
});
