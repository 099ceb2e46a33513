import { unprotectedPages } from "../../test/system/guest/status.ts";
import { figuresOf } from "../../test/system/guest/verdict.ts";
import type { WayResult } from "../../test/system/guest/ways.ts";

const CONSOLE_LINES = 25;
const LABEL = 36;

/** The closing table of a run, and what was not right if anything was not. */
export function closingTable(result: WayResult, seconds: number): string[] {
  const { job, report, peaks, incidents, last, wrong } = result;
  const rows: [string, string][] = [];
  const loads = ["random", "hold"].map((name) => report.console.results.get(`${name}Status`));
  if (report.errors.length === 0) {
    const figures = figuresOf(job, report);
    rows.push(
      [
        "memory of the guest / load",
        `${job.memoryMiB} MiB / ${mib(job.load.bytes + job.load.holdBytes)} MiB`,
      ],
      ["pages out (the kernel's count)", figures.pagesOut.toLocaleString("en")],
      ["pages in", figures.pagesIn.toLocaleString("en")],
      ["load", `${figures.loadSeconds.toFixed(1)} s`],
      ["swapoff", `${mib(figures.swapoffKiB * 1024)} MiB in ${figures.swapoffSeconds.toFixed(1)} s`],
    );
  }
  for (const [server, pages] of peaks.byServer)
    rows.push([`most pages on ${server}`, pages.toLocaleString("en")]);
  for (const { node, pagesHeld, unprotectedMost, seconds: needed } of incidents) {
    rows.push(
      [`${node} killed (SIGKILL), holding`, `${pagesHeld.toLocaleString("en")} pages`],
      ["most pages unprotected after that", unprotectedMost.toLocaleString("en")],
      ["every page protected again after", `${needed.toFixed(1)} s`],
    );
  }
  rows.push(
    ["pages unprotected at the end", unprotectedPages(last).toLocaleString("en")],
    ["pages lost", last.clients.reduce((sum, { pages }) => sum + pages.lost, 0).toLocaleString("en")],
    ["every byte verified", loads.every((status) => status === "0") ? "yes" : "NO"],
    ["kernel log of the guest clean", report.kernelErrors.length === 0 ? "yes" : "NO"],
    ["time in all", `${seconds.toFixed(0)} s`],
  );
  const rule = `  +-${"-".repeat(LABEL)}-+-${"-".repeat(24)}-+`;
  const table = rows.map(([name, value]) => `  | ${name.padEnd(LABEL)} | ${value.padStart(24)} |`);
  return ["", rule, ...table, rule, "", ...verdictLines(result, wrong)];
}

function verdictLines(result: WayResult, wrong: readonly string[]): string[] {
  if (wrong.length === 0) {
    const lost = result.incidents.length > 0 ? ", a server was killed" : "";
    return [`  All right: a stock kernel used more memory than it has${lost}, and every byte came back.`, ""];
  }
  return [
    `  NOT right: ${wrong.length} finding${wrong.length > 1 ? "s" : ""}`,
    ...wrong.map((line) => `  - ${line}`),
    "",
    "  The end of the guest's console:",
    ...result.report.console.lines.slice(-CONSOLE_LINES).map((line) => `    ${line}`),
    "",
  ];
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
