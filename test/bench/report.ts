import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type GoalResult, pairs, type Ratio, ratioOf } from "./goals.ts";
import type { Machine } from "./machine.ts";
import { type FigureName, figureNames, type Medians, mediansOf, type Run } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { median } from "./statistics.ts";
import { table } from "./table.ts";
import { targetTitles } from "./targets.ts";

const MIB = 1024 * 1024;
const DEPENDABLE_ROUNDS_MIN = 5;
/** Above it the figures are marked as taken on a busy machine. */
const OTHERS_SHARE_MAX = 0.1;

/** Everything that a bench run found. */
export interface Report {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly options: Pick<
    BenchOptions,
    "rounds" | "seconds" | "warmupSeconds" | "sizeBytes" | "linkMbit" | "asItIs"
  >;
  readonly medians: readonly Medians[];
  readonly goals: readonly GoalResult[];
  readonly ratios: readonly Ratio[];
  readonly runs: readonly Run[];
}

/** Works the runs up into medians, goals and ratios. */
export function makeReport(
  startedAt: string,
  machine: Machine,
  options: BenchOptions,
  runs: readonly Run[],
  goals: readonly GoalResult[],
): Report {
  const workloadNames = options.workloads.map((workload) => workload.name);
  const ratios = workloadNames.flatMap((workload) =>
    pairs.flatMap((pair) =>
      figureNames.flatMap((figure) => ratioOf(runs, { ...pair, workload, figure }) ?? []),
    ),
  );
  const { rounds, seconds, warmupSeconds, sizeBytes, linkMbit, asItIs } = options;
  const medians = mediansOf(runs);
  return {
    startedAt,
    machine,
    options: { rounds, seconds, warmupSeconds, sizeBytes, linkMbit, asItIs },
    medians,
    goals,
    ratios,
    runs,
  };
}

/** Writes bench.md and bench.json, or bench-link.md and bench-link.json; gives their paths. */
export function writeReport(directory: string, report: Report): string[] {
  mkdirSync(directory, { recursive: true });
  const name = report.options.linkMbit > 0 ? "bench-link" : "bench";
  const markdown = join(directory, `${name}.md`);
  const json = join(directory, `${name}.json`);
  writeFileSync(markdown, toMarkdown(report));
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  return [markdown, json];
}

export function toMarkdown(report: Report): string {
  return `${[
    "# Benchmark",
    "",
    ...preamble(report),
    "",
    ...(report.options.linkMbit > 0 ? [] : ["## Goals", "", ...goalTable(report.goals), ""]),
    "## Ratios (median over the rounds of subject / baseline in the same round)",
    "",
    ...ratioTable(report),
    "",
    "## Absolute medians",
    "",
    ...medianTable(report.medians),
    "",
    "## Resident size by process at the end",
    "",
    ...residentTable(report.runs),
  ].join("\n")}\n`;
}

function preamble({ startedAt, machine, options, runs }: Report): string[] {
  const gib = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  const lines = [
    `${startedAt}, ${machine.cpuCount} x ${machine.cpuModel}, ${gib} GiB, Linux ${machine.kernel}, ` +
      `Node ${machine.node}, ${machine.fio}, ${machine.nbdkit}, send buffers of Unix sockets ` +
      `${machine.socketBufferBytes / 1024} KiB.`,
    "",
    `fio's nbd engine over a Unix socket, random reads and writes half and half where the name says no more, ` +
      `${options.rounds} round(s) of ${options.seconds} s after ${options.warmupSeconds} s each to warm up, targets ` +
      `taking turns; devices of ${options.sizeBytes / MIB} MiB, written full with random bytes before; every write ` +
      "carries fresh random bytes, so no page is same-filled or compressible.",
    "",
    `Load average before the start: ${machine.loadAtStart.toFixed(2)}. The load generator shares the processors ` +
      "with the targets: absolute figures are of this machine alone, ratios of one run are what compares.",
  ];
  lines.push(
    "",
    options.asItIs
      ? "Each workload meets the device as the one before has left it."
      : "Before each run of requests of more than 4 KiB the device is discarded and written anew from end to end.",
  );
  if (options.linkMbit > 0) {
    const rate = `${options.linkMbit} Mbit/s each way (two network namespaces, a veth pair, tbf)`;
    lines.push(
      "",
      `Between the client and its servers is a link of ${rate}; servers reach each other without it.`,
    );
  }
  const others = median(runs.map((run) => run.othersShare));
  lines.push(
    "",
    `Processor time that others used meanwhile: ${(others * 100).toFixed(0)}% (median of the runs).`,
  );
  if (others > OTHERS_SHARE_MAX) {
    lines.push(
      "",
      "**The machine was not quiet. Targets of many processes suffer more from that than those of few, so these " +
        "ratios do not decide anything.**",
    );
  }
  if (options.rounds < DEPENDABLE_ROUNDS_MIN) {
    lines.push("", `**Fewer than ${DEPENDABLE_ROUNDS_MIN} rounds: shows that it runs, is no measurement.**`);
  }
  return lines;
}

function goalTable(results: readonly GoalResult[]): string[] {
  if (results.length === 0) return ["None of the goals' targets and workloads were run together."];
  const rows = results.map((result) => [
    result.title,
    result.bound,
    result.median.toFixed(2),
    result.rounds.map((ratio) => ratio.toFixed(2)).join(" "),
    result.isMet ? "pass" : "**FAIL**",
  ]);
  return table(["ratio", "goal", "median", "by round", ""], rows);
}

function ratioTable({ ratios, medians }: Report): string[] {
  const workloads = [...new Set(medians.map((row) => row.workload))];
  const rows = workloads.flatMap((workload) =>
    pairs.flatMap(({ subject, baseline }) => {
      const of = (figure: FigureName) =>
        ratios.find(
          (r) =>
            r.workload === workload &&
            r.subject === subject &&
            r.baseline === baseline &&
            r.figure === figure,
        );
      if (of("iops") === undefined) return [];
      const cells = SHOWN_RATIOS.map((figure) => of(figure)?.median.toFixed(2) ?? "-");
      return [[workload, `${subject} : ${baseline}`, ...cells]];
    }),
  );
  if (rows.length === 0) return ["No pair of targets was run."];
  return table(
    ["workload", "pair", "throughput", "mean", "p50", "p99", "CPU", "bytes sent", "resident"],
    rows,
  );
}

const SHOWN_RATIOS: readonly FigureName[] = [
  "iops",
  "meanUs",
  "p50Us",
  "p99Us",
  "cpuSecondsPerMillionPages",
  "bytesSentPerPage",
  "residentBytes",
];

function medianTable(medians: readonly Medians[]): string[] {
  const rows = medians.map((row) => [
    row.workload,
    targetTitles[row.target],
    row.iops.toFixed(0),
    (row.bytesPerSecond / MIB).toFixed(1),
    row.meanUs.toFixed(1),
    row.p50Us.toFixed(1),
    row.p99Us.toFixed(1),
    row.cpuSecondsPerMillionPages.toFixed(2),
    row.bytesSentPerPage > 0 ? row.bytesSentPerPage.toFixed(0) : "-",
    (row.residentBytes / MIB).toFixed(0),
  ]);
  const head = ["workload", "target", "IOPS", "MiB/s", "mean us", "p50 us", "p99 us"];
  return table([...head, "CPU s / million pages", "bytes sent / page written", "resident MiB"], rows);
}

function residentTable(runs: readonly Run[]): string[] {
  const lastOf = new Map(runs.map((run) => [run.target, run]));
  const rows = [...lastOf.values()].flatMap((run) =>
    run.residentByProcess.map(({ title, bytes }) => [run.target, title, (bytes / MIB).toFixed(1)]),
  );
  return table(["target", "process", "resident MiB"], rows);
}
