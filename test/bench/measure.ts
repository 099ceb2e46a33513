import { cpuSeconds, machineCpu, residentBytes } from "../support/proc.ts";
import { type FioFigures, runWorkload } from "./fio.ts";
import { median } from "./statistics.ts";
import { type Sent, type Target, type TargetName, targetNames } from "./targets.ts";
import type { Workload } from "./workloads.ts";

const PAGE_BYTES = 4096;
const MILLION = 1_000_000;

/** One fio run on one target. */
export interface Run extends FioFigures {
  readonly target: TargetName;
  readonly workload: string;
  readonly round: number;
  /** User and system time of all processes of the target for a million pages of 4 KiB read or written. */
  readonly cpuSecondsPerMillionPages: number;
  /** Bytes that the client sent to its servers for each page that these took; 0 for a target that is no cluster. */
  readonly bytesSentPerPage: number;
  /** Sum over the processes of the target, right after the run. */
  readonly residentBytes: number;
  /** Part of the machine's processor time that neither the target nor fio used. */
  readonly othersShare: number;
  readonly residentByProcess: readonly { readonly title: string; readonly bytes: number }[];
}

/** Runs one workload on one target and accounts for what its processes used. */
export async function measure(
  target: Target,
  workload: Workload,
  round: number,
  sizeBytes: number,
  seconds: number,
): Promise<Run> {
  const processes = target.processes();
  const sentBefore = await target.sent?.();
  const machineBefore = machineCpu();
  const cpuBefore = totalCpuSeconds(processes);
  const figures = await runWorkload(target.uri, workload, sizeBytes, seconds);
  const cpuUsed = totalCpuSeconds(processes) - cpuBefore;
  const machine = machineCpu();
  const busy = machine.busySeconds - machineBefore.busySeconds;
  const othersShare =
    (busy - cpuUsed - figures.fioCpuSeconds) / (machine.totalSeconds - machineBefore.totalSeconds);
  const residentByProcess = processes.map(({ title, pid }) => ({ title, bytes: residentBytes(pid) }));
  const sent = await target.sent?.();
  const gone = residentByProcess.find(({ bytes }) => bytes === 0);
  if (gone !== undefined) throw new Error(`${target.name}: ${gone.title} ended under ${workload.name}`);
  return {
    ...figures,
    target: target.name,
    workload: workload.name,
    round,
    cpuSecondsPerMillionPages: (cpuUsed * MILLION) / (figures.bytes / PAGE_BYTES),
    bytesSentPerPage: sent && sentBefore ? bytesPerPage(sentBefore, sent) : 0,
    residentBytes: residentByProcess.reduce((sum, { bytes }) => sum + bytes, 0),
    othersShare: Math.max(0, othersShare),
    residentByProcess,
  };
}

function bytesPerPage(before: Sent, after: Sent): number {
  return after.pages > before.pages ? (after.bytes - before.bytes) / (after.pages - before.pages) : 0;
}

function totalCpuSeconds(processes: readonly { pid: number }[]): number {
  return processes.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
}

/** The figures of a run that have a median. */
export const figureNames = [
  "iops",
  "bytesPerSecond",
  "meanUs",
  "p50Us",
  "p99Us",
  "cpuSecondsPerMillionPages",
  "bytesSentPerPage",
  "residentBytes",
] as const;
export type FigureName = (typeof figureNames)[number];

/** Medians over the rounds of one workload on one target. */
export interface Medians extends Record<FigureName, number> {
  readonly target: TargetName;
  readonly workload: string;
}

/** Medians of every target and workload that has runs, by workload, then in the order of the targets' names. */
export function mediansOf(runs: readonly Run[]): Medians[] {
  const groups = new Map<string, Run[]>();
  const inOrder = runs.toSorted((a, b) => targetNames.indexOf(a.target) - targetNames.indexOf(b.target));
  for (const run of inOrder) {
    const key = `${run.workload} ${run.target}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const order = [...new Set(runs.map((run) => run.workload))];
  const rows = [...groups.values()].map((group) => {
    const of = (figure: FigureName) => median(group.map((run) => run[figure]));
    const figures = Object.fromEntries(figureNames.map((figure) => [figure, of(figure)]));
    return { target: group[0]!.target, workload: group[0]!.workload, ...figures } as Medians;
  });
  return rows.toSorted((a, b) => order.indexOf(a.workload) - order.indexOf(b.workload));
}
