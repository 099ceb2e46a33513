import { expect, test } from "vitest";
import { GuestConsole, type Progress } from "../../system/guest/console.ts";

test("the guest's lines become results, steps, progress, failures and a kernel log", () => {
  const steps: string[] = [];
  const progress: Progress[] = [];
  const console = new GuestConsole({
    onStep: (step) => steps.push(step),
    onProgress: (figures) => progress.push(figures),
  });
  for (const line of [
    "[    1.760000] nbd0: detected capacity change from 0 to 2097152",
    "NSWAP-STEP random access\r",
    "NSWAP-RESULT pagesOut=12 pagesIn=7",
    "NSWAP-PROGRESS memFreeKiB=1 memAvailableKiB=2 swapUsedKiB=3 pagesIn=4 pagesOut=5",
    "NSWAP-FAIL swapoff",
    "stress-ng says NSWAP-RESULT pagesOut=99",
  ]) {
    console.push(line);
  }
  expect(steps).toEqual(["random access"]);
  expect(console.step).toBe("random access");
  expect(progress).toEqual([{ memFreeKiB: 1, memAvailableKiB: 2, swapUsedKiB: 3, pagesIn: 4, pagesOut: 5 }]);
  expect(console.failures).toEqual(["swapoff"]);
  expect(console.number("pagesOut")).toBe(12);
  expect(console.kernelLines).toHaveLength(1);
});

test("a figure that was not reported, or is no number, is an error and not a zero", () => {
  const console = new GuestConsole();
  console.push("NSWAP-RESULT pagesIn= pagesOut=many");
  expect(() => console.number("pagesIn")).toThrow(/pagesIn/);
  expect(() => console.number("pagesOut")).toThrow(/many/);
  expect(() => console.number("swapoffMs")).toThrow(/nothing/);
});
