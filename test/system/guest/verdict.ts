import type { GuestJob } from "./job.ts";
import type { GuestReport } from "./machine.ts";
import type { PeakPages } from "./status.ts";

const PAGE_KIB = 4;
/** How unevenly pages may be spread: the fullest server against the emptiest. */
const SPREAD_MAX = 2;

/** The figures of a run that people ask for. Page counts are the guest kernel's own. */
export interface GuestFigures {
  readonly pagesOut: number;
  readonly pagesIn: number;
  readonly loadSeconds: number;
  readonly swapoffKiB: number;
  readonly swapoffSeconds: number;
  /** Pages that did not fit into the guest's memory: at least as many had to go out, and to come back. */
  readonly overflowPages: number;
}

/** Throws when the guest did not report them all. */
export function figuresOf(job: GuestJob, report: GuestReport): GuestFigures {
  const { console } = report;
  const loadKiB = (job.load.bytes + job.load.holdBytes) / 1024;
  const memoryKiB = console.results.has("loadLimitKiB")
    ? Math.min(console.number("loadLimitKiB"), console.number("memTotalKiB"))
    : console.number("memTotalKiB");
  return {
    pagesOut: console.number("pagesOut"),
    pagesIn: console.number("pagesIn"),
    loadSeconds: console.number("loadMs") / 1000,
    swapoffKiB: console.number("swapoffKiB"),
    swapoffSeconds: console.number("swapoffMs") / 1000,
    overflowPages: Math.max(0, Math.floor((loadKiB - memoryKiB) / PAGE_KIB)),
  };
}

/** Everything that was not right in a run; empty when all was. */
export function wrongWith(job: GuestJob, report: GuestReport): string[] {
  if (report.errors.length > 0) return [...report.errors];
  const { console } = report;
  const wrong: string[] = [];
  for (const [load, wanted] of [
    ["stress", job.load.stressSeconds > 0],
    ["random", job.load.randomSeconds > 0],
    ["hold", true],
  ] as const) {
    const status = console.results.get(`${load}Status`);
    if (wanted && status !== "0") wrong.push(`the load ${load} ended with status ${status ?? "unknown"}`);
  }
  if (console.number("oomKills") !== 0)
    wrong.push(`${console.number("oomKills")} processes killed for memory`);
  const figures = figuresOf(job, report);
  if (figures.overflowPages === 0) wrong.push("the load fits into the guest's memory, so nothing was shown");
  for (const [what, pages] of [
    ["out", figures.pagesOut],
    ["in", figures.pagesIn],
  ] as const) {
    if (pages < figures.overflowPages) {
      wrong.push(`only ${pages} pages ${what}, where ${figures.overflowPages} do not fit into memory`);
    }
  }
  if (figures.swapoffKiB === 0) wrong.push("nothing was left in swap for swapoff to bring back");
  return wrong;
}

/** What is not right with the spread of pages over the servers; empty when all is. */
export function wrongWithSpread(peaks: PeakPages, servers: number): string[] {
  const counts = [...peaks.byServer.values()];
  if (counts.length !== servers) return [`pages were seen on ${counts.length} of ${servers} servers`];
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (least === 0) return ["one server never held a page"];
  if (most > least * SPREAD_MAX) return [`uneven spread: between ${least} and ${most} pages on a server`];
  return [];
}
