import { describe, expect, test } from "vitest";
import { quantile } from "../support/verifying-load.ts";
import { type ChaosReport, runChaos } from "./chaos-run.ts";

/** Set by scripts/chaos.mjs. */
const seconds = Number(process.env["CHAOS_SECONDS"] ?? 60);
const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const only = process.env["CHAOS_REDUNDANCY"];
/** A request that takes longer was forgotten, whatever the machine. */
const STALL_MS_MAX = 15_000;
const STALL_GOAL_MS = 250;

function say(line: string): void {
  process.stderr.write(`chaos: ${line}\n`);
}

function judge(report: ChaosReport, redundancy: string): void {
  expect(report.findings, `seed ${seed}`).toEqual([]);
  expect([report.wrongPages, report.errors, report.lostPages]).toEqual([0, 0, 0]);
  if (redundancy !== "none") expect(report.unprotectedAtEnd).toBe(0);
  expect(report.faults.length).toBeGreaterThan(0);
  expect(report.requests).toBeGreaterThan(100);
  const stalls = report.faults.map((record) => record.stallMs);
  expect(Math.max(...stalls)).toBeLessThan(STALL_MS_MAX);
}

function summarize(report: ChaosReport): void {
  const { faults, requests, fioRounds } = report;
  say(`${faults.length} faults, ${requests} requests, ${fioRounds} rounds of fio`);
  for (const kind of ["kill", "restart", "pause"] as const) {
    const stalls = faults.filter(({ fault }) => fault.kind === kind).map((record) => record.stallMs);
    if (stalls.length === 0) continue;
    const [median, longest] = [quantile(stalls, 0.5), Math.max(...stalls)];
    const goal = kind === "kill" ? `, the goal is ${STALL_GOAL_MS} ms` : "";
    say(`${kind}: longest request ${longest.toFixed(0)} ms, median of them ${median.toFixed(0)} ms${goal}`);
  }
}

describe.each([
  { redundancy: "none" as const, servers: 4, parity: 0, share: 0.2 },
  { redundancy: "parity" as const, servers: 4, parity: 2, share: 1 },
  { redundancy: "mirror" as const, servers: 4, parity: 0, share: 0.5 },
])("with --redundancy $redundancy", ({ redundancy, servers, parity, share }) => {
  test.skipIf(only !== undefined && only !== redundancy)(
    "no page is lost and no request fails, whatever befalls one server at a time",
    { timeout: seconds * share * 1000 + 300_000 },
    async () => {
      say(`--redundancy ${redundancy} for ${Math.round(seconds * share)} s, seed ${seed}`);
      say(`again: npm run test:chaos -- --seed ${seed} --redundancy ${redundancy} --minutes ${seconds / 60}`);
      const report = await runChaos({
        ...{ seconds: seconds * share, seed, redundancy, servers, parity, pages: 16_384, say },
      });
      summarize(report);
      judge(report, redundancy);
    },
  );
});
