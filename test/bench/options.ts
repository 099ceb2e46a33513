import { chosen, numberIn, UsageError, valuesOf } from "./arguments.ts";
import { clusterNames, type TargetName, targetNames } from "./targets.ts";
import { type Workload, workloads } from "./workloads.ts";

export interface BenchOptions {
  readonly rounds: number;
  /** Length of one fio run. */
  readonly seconds: number;
  /** Load of each kind on each target before the first round, so that compilers have settled. */
  readonly warmupSeconds: number;
  readonly sizeBytes: number;
  readonly workloads: readonly Workload[];
  readonly targets: readonly TargetName[];
  /** Length of the separate run that watches the client's resident size; 0 for none. */
  readonly rssMinutes: number;
  /** What a killed memory server holds in the separate run that times its rebuild; 0 for none. */
  readonly rebuildBytes: number;
  /** Megabits a second, each way, of the link between client and servers; 0 for all on loopback. */
  readonly linkMbit: number;
  /** Neither the machine nor the devices are prepared for long requests. */
  readonly asItIs: boolean;
  /** End with status 1 when a goal is missed. */
  readonly check: boolean;
  readonly outputDirectory: string;
}

const MIB = 1024 * 1024;

const linkWorkload = "4k-d32-write";

export const usage = `npm run bench -- [options]
  --rounds N         rounds over all targets (default 5)
  --seconds S        length of one fio run (default 3)
  --warmup S         load of each kind on each target before the first round (default 8)
  --quick            one round of one second: shows that everything runs, measures nothing
  --only LIST        workloads, by commas: ${workloads.map((workload) => workload.name).join(", ")}
                     (default ${defaultWorkloadNames().join(", ")})
  --targets LIST     targets, by commas: ${targetNames.join(", ")} (default all)
  --size MIB         size of every device in MiB (default 512)
  --rss-minutes M    instead: watch the client's resident size under M minutes of full load (11 for the goal)
  --rebuild MIB      instead: the time to rebuild a killed server's share, and reads meanwhile (256 for the goal)
  --link MBIT        nswap alone, its client and its servers at the ends of a link of so many megabits a second each
                     way (two network namespaces; for root; by default ${linkWorkload}); goes to bench-link.md
  --as-it-is         leave the send buffers of sockets as the machine has them (otherwise, as root, they are what
                     docs/OPERATING.md recommends, until the end), and devices as the workload before has left them
                     (otherwise they are discarded and written anew before each run of requests beyond 4 KiB)
  --check            status 1 when a goal is missed
  --output DIR       where bench.md and bench.json go (default bench-results)
  --help`;

function defaultWorkloadNames(): string[] {
  return workloads.filter((workload) => workload.isDefault).map((workload) => workload.name);
}

const options = {
  rounds: { type: "string", default: "5" },
  seconds: { type: "string", default: "3" },
  warmup: { type: "string", default: "8" },
  quick: { type: "boolean" },
  only: { type: "string" },
  targets: { type: "string" },
  size: { type: "string", default: "512" },
  "rss-minutes": { type: "string", default: "0" },
  rebuild: { type: "string", default: "0" },
  link: { type: "string", default: "0" },
  "as-it-is": { type: "boolean" },
  check: { type: "boolean" },
  output: { type: "string", default: "bench-results" },
  help: { type: "boolean" },
} as const;

/** Parses the command line. Throws UsageError, with what was given and what is accepted. */
export function parseOptions(argv: readonly string[]): BenchOptions | "help" {
  const values = valuesOf(argv, options);
  if (values.help) return "help";
  const quick = values.quick === true;
  const linkMbit = numberIn("--link", values.link, 0, 1_000_000, true);
  const alone = ["rss-minutes", "rebuild", "check"] as const;
  const other = linkMbit > 0 ? alone.find((name) => values[name] && values[name] !== "0") : undefined;
  if (other !== undefined) throw new UsageError(`--link ${linkMbit}: not with --${other}`);
  const accepted = linkMbit > 0 ? clusterNames : targetNames;
  const defaultWorkloads = linkMbit > 0 ? [linkWorkload] : defaultWorkloadNames();
  return {
    rounds: quick ? 1 : numberIn("--rounds", values.rounds, 1, 1000, true),
    seconds: quick ? 1 : numberIn("--seconds", values.seconds, 1, 3600, true),
    warmupSeconds: quick ? 1 : numberIn("--warmup", values.warmup, 1, 3600, true),
    sizeBytes: numberIn("--size", values.size, 64, 65_536, true) * MIB,
    workloads: chosen("--only", values.only, defaultWorkloads, workloads, (workload) => workload.name),
    targets: chosen("--targets", values.targets, accepted, accepted, (name) => name),
    rssMinutes: numberIn("--rss-minutes", values["rss-minutes"], 0, 10_000, false),
    rebuildBytes: numberIn("--rebuild", values.rebuild, 0, 65_536, true) * MIB,
    linkMbit,
    asItIs: values["as-it-is"] === true,
    check: values.check === true,
    outputDirectory: values.output,
  };
}
