import { expect, test } from "vitest";
import { GuestConsole } from "../../system/guest/console.ts";
import { type GuestJob, jobText, loadOf } from "../../system/guest/job.ts";
import type { GuestReport } from "../../system/guest/machine.ts";
import { PeakPages } from "../../system/guest/status.ts";
import { wrongWith, wrongWithSpread } from "../../system/guest/verdict.ts";

const JOB: GuestJob = {
  memoryMiB: 256,
  device: { kind: "gateway", host: "10.78.0.1", port: 1, exportName: "it's" },
  load: loadOf(256, 1.4, { stress: 1, random: 1 }),
};

const GOOD = {
  stressStatus: "0",
  randomStatus: "0",
  holdStatus: "0",
  oomKills: "0",
  memTotalKiB: "240000",
  pagesOut: "90000",
  pagesIn: "80000",
  loadMs: "1000",
  swapoffKiB: "40960",
  swapoffMs: "10",
};

function report(results: Record<string, string>, errors: string[] = []): GuestReport {
  const console = new GuestConsole();
  for (const [key, value] of Object.entries(results)) console.push(`NSWAP-RESULT ${key}=${value}`);
  return { console, errors, kernelErrors: [], seconds: 1 };
}

test("a run in which all was right has nothing wrong", () => {
  expect(wrongWith(JOB, report(GOOD))).toEqual([]);
});

test.each([
  [{ stressStatus: "2" }, /stress ended with status 2/],
  [{ holdStatus: "" }, /hold ended/],
  [{ oomKills: "1" }, /killed/],
  [{ pagesOut: "100" }, /only 100 pages out/],
  [{ pagesIn: "0" }, /only 0 pages in/],
  [{ swapoffKiB: "0" }, /swapoff/],
  [{ memTotalKiB: "999999" }, /fits/],
])("%o is wrong", (change, pattern) => {
  expect(wrongWith(JOB, report({ ...GOOD, ...change })).join("\n")).toMatch(pattern);
});

test("the guest's own errors are passed on", () => {
  expect(wrongWith(JOB, report(GOOD, ["I/O error: x"]))).toEqual(["I/O error: x"]);
});

test("a server left out, and one that holds far more than another, are told", () => {
  const peaks = (...counts: number[]): PeakPages => {
    const result = new PeakPages();
    counts.forEach((count, index) => void result.byServer.set(`s${index}`, count));
    return result;
  };
  expect(wrongWithSpread(peaks(100, 110, 90, 120), 4)).toEqual([]);
  expect(wrongWithSpread(peaks(100, 110, 90), 4)).toHaveLength(1);
  expect(wrongWithSpread(peaks(100, 110, 90, 0), 4)).toHaveLength(1);
  expect(wrongWithSpread(peaks(100, 110, 90, 300), 4)).toHaveLength(1);
});

test("the job is quoted for the shell", () => {
  expect(jobText(JOB, "10.78.0.2/24")).toContain(`EXPORT='it'\\''s'\n`);
});
