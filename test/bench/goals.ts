import type { FigureName, Run } from "./measure.ts";
import { median } from "./statistics.ts";
import type { TargetName } from "./targets.ts";

/** A ratio between two targets in one run, and the bound that it has to keep. */
export interface Goal {
  readonly title: string;
  readonly workload: string;
  readonly figure: FigureName;
  readonly subject: TargetName;
  readonly baseline: TargetName;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

export const goals: readonly Goal[] = [
  {
    title: "NBD front with memory : nbdkit memory, 4 KiB, depth 32, throughput",
    workload: "4k-d32",
    figure: "iops",
    subject: "front-memory",
    baseline: "nbdkit-memory",
    bound: { atLeast: 1.2 },
  },
  {
    // With one connection, fio's own processor is full with either server.
    title: "NBD front with memory : nbdkit memory, 4 KiB, two connections of depth 16, throughput",
    workload: "4k-d16x2",
    figure: "iops",
    subject: "front-memory",
    baseline: "nbdkit-memory",
    bound: { atLeast: 1.2 },
  },
  {
    title: "NBD front with memory : nbdkit memory, 4 KiB, depth 1, mean latency",
    workload: "4k-d1",
    figure: "meanUs",
    subject: "front-memory",
    baseline: "nbdkit-memory",
    bound: { atMost: 1.2 },
  },
  {
    title: "nswap, 4 servers : two-hop nbdkit, 4 KiB, depth 32, throughput",
    workload: "4k-d32",
    figure: "iops",
    subject: "nswap",
    baseline: "nbdkit-two-hops",
    bound: { atLeast: 2.5 },
  },
  {
    title: "nswap, 4 servers : two-hop nbdkit, 4 KiB, depth 1, mean latency",
    workload: "4k-d1",
    figure: "meanUs",
    subject: "nswap",
    baseline: "nbdkit-two-hops",
    bound: { atMost: 1.3 },
  },
  {
    title: "nswap, 4 servers : two-hop nbdkit, 128 KiB, depth 16, throughput",
    workload: "128k-d16",
    figure: "bytesPerSecond",
    subject: "nswap",
    baseline: "nbdkit-two-hops",
    bound: { atLeast: 1.0 },
  },
  {
    title: "parity : no redundancy, 4 KiB random writes, depth 32, throughput",
    workload: "4k-d32-write",
    figure: "iops",
    subject: "nswap-parity",
    baseline: "nswap",
    bound: { atLeast: 0.85 },
  },
  {
    title: "parity : no redundancy, 4 KiB random reads, depth 32, throughput",
    workload: "4k-d32-read",
    figure: "iops",
    subject: "nswap-parity",
    baseline: "nswap",
    bound: { atLeast: 0.97 },
  },
  {
    title: "parity : no redundancy, bytes sent for a page written",
    workload: "4k-d32-write",
    figure: "bytesSentPerPage",
    subject: "nswap-parity",
    baseline: "nswap",
    bound: { atMost: 1.27 },
  },
  {
    title: "parity : mirror, 4 KiB random writes, depth 32, throughput",
    workload: "4k-d32-write",
    figure: "iops",
    subject: "nswap-parity",
    baseline: "nswap-mirror",
    bound: { atLeast: 1.4 },
  },
];

/** Ratios of one figure, round by round, and their median. */
export interface Ratio {
  readonly subject: TargetName;
  readonly baseline: TargetName;
  readonly workload: string;
  readonly figure: FigureName;
  readonly rounds: readonly number[];
  readonly median: number;
}

export interface GoalResult extends Ratio {
  readonly title: string;
  /** The bound in words: `>= 1.2`. */
  readonly bound: string;
  readonly isMet: boolean;
}

/** Each subject against the baseline with the same number of hops, or with another redundancy. */
export const pairs: readonly { readonly subject: TargetName; readonly baseline: TargetName }[] = [
  { subject: "front-memory", baseline: "nbdkit-memory" },
  { subject: "nswap", baseline: "nbdkit-two-hops" },
  { subject: "nswap-mirror", baseline: "nswap" },
  { subject: "nswap-parity", baseline: "nswap" },
  { subject: "nswap-parity", baseline: "nswap-mirror" },
];

/** Ratio of subject to baseline in each round that has both; undefined when none has. */
export function ratioOf(runs: readonly Run[], of: Omit<Ratio, "rounds" | "median">): Ratio | undefined {
  const valueIn = (target: TargetName, round: number) =>
    runs.find((run) => run.target === target && run.workload === of.workload && run.round === round)?.[
      of.figure
    ];
  const rounds = [...new Set(runs.map((run) => run.round))].flatMap((round) => {
    const subject = valueIn(of.subject, round);
    const baseline = valueIn(of.baseline, round);
    return subject === undefined || !baseline ? [] : [subject / baseline];
  });
  if (rounds.length === 0) return undefined;
  const { subject, baseline, workload, figure } = of;
  return { subject, baseline, workload, figure, rounds, median: median(rounds) };
}

/** Every goal whose two targets and workload were run. */
export function judge(runs: readonly Run[]): GoalResult[] {
  return goals.flatMap((goal) => {
    const ratio = ratioOf(runs, goal);
    if (ratio === undefined) return [];
    const isMet =
      "atLeast" in goal.bound ? ratio.median >= goal.bound.atLeast : ratio.median <= goal.bound.atMost;
    const bound = "atLeast" in goal.bound ? `>= ${goal.bound.atLeast}` : `<= ${goal.bound.atMost}`;
    return [{ ...ratio, title: goal.title, bound, isMet }];
  });
}
