import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../machine.ts";
import { median } from "../statistics.ts";
import { table } from "../table.ts";
import { type DeviceName, deviceNames, deviceTitles } from "./devices.ts";
import type { SeedRun } from "./measure.ts";
import type { SeedOptions } from "./options.ts";
import { type Bar, figure, svgOf } from "./plot.ts";
import { timesOf, type WorkName, workNames, workOf, workTitles } from "./works.ts";

const DEPENDABLE_ROUNDS_MIN = 3;
const MIB = 1024 * 1024;
/** Told apart by people who see colours differently, too (Okabe and Ito). */
const colours: Record<DeviceName, string> = {
  hdd: "#999999",
  ssd: "#56b4e9",
  "own-disk": "#0072b2",
  memory: "#f0e442",
  none: "#009e73",
  mirror: "#e69f00",
  parity: "#d55e00",
};

/** Everything that a run of the benchmark found. */
export interface SeedReport {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly options: Pick<SeedOptions, "rounds" | "memoryMiB" | "linkMbit" | "quick">;
  readonly runs: readonly SeedRun[];
  /** What did not work, in words. */
  readonly failures: readonly string[];
  /** The images of the disks lay in memory: "this machine's disk" is none. */
  readonly imagesInMemory: boolean;
}

/** Writes seed.md, seed.json and seed.svg, or seed-link.md and so on; gives their paths. */
export function writeReport(directory: string, report: SeedReport): string[] {
  mkdirSync(directory, { recursive: true });
  const files = {
    md: toMarkdown(report),
    json: `${JSON.stringify(report, null, 2)}\n`,
    svg: toSvg(report),
  };
  return Object.entries(files).map(([kind, text]) => {
    const path = join(directory, `${nameOf(report)}.${kind}`);
    writeFileSync(path, text);
    return path;
  });
}

/** Of its files. */
const nameOf = ({ options }: SeedReport): string => (options.linkMbit > 0 ? "seed-link" : "seed");

/** Between a client and its servers. */
const linkInWords = ({ options }: SeedReport): string => `a link of ${options.linkMbit} Mbit/s each way`;

export function toMarkdown(report: SeedReport): string {
  const names = (work: WorkName) => deviceNames.filter((device) => runsOf(report, work, device).length > 0);
  const works = workNames.filter((work) => names(work).length > 0);
  return `${[
    "# Workloads of a machine that swaps",
    "",
    ...preamble(report),
    ...works.flatMap((work) => [
      "",
      `## ${capital(workTitles[work][0])}`,
      "",
      `${capital(workTitles[work][1])} (${workInWords(work, report)}).`,
      "",
      ...workTable(report, work, names(work)),
    ]),
    "",
    `![run times](${nameOf(report)}.svg)`,
    ...failures(report),
  ].join("\n")}\n`;
}

function preamble(report: SeedReport): string[] {
  const { startedAt, machine, options, imagesInMemory } = report;
  const gib = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  const lines = [
    `${startedAt}, ${machine.cpuCount} x ${machine.cpuModel}, ${gib} GiB, Linux ${machine.kernel}, ` +
      `Node ${machine.node}, ${machine.nbdkit}; load average before the start ${machine.loadAtStart.toFixed(2)}.`,
    "",
    `A guest of ${options.memoryMiB} MiB (User-Mode Linux, one processor) uses ${timesOf(options.quick)} times its ` +
      "memory and swaps over the stock nbd driver over TCP; every device is reached the same way, and each work is " +
      `done in a guest of its own, on a fresh device. Medians of ${options.rounds} round(s), the range in brackets. ` +
      "All shares the processors of one machine.",
    "",
    ...deviceNames.map((name) => `- **${deviceTitles[name][0]}**: ${deviceTitles[name][1]}.`),
    "",
    "The models are an image file behind nbdkit's delay, rate and (hard disk) noparallel filters.",
    "",
    "Pages a second: pages out and in while the work ran. Messages and bytes: what the client sent to its servers " +
      "for each page that the kernel swapped out; messages that ask for pages are left out, their bytes are in.",
  ];
  if (options.linkMbit > 0) {
    const where = "(another network namespace, a veth pair, tbf); servers reach each other without it";
    lines.push("", `Between a cluster's client and its servers is ${linkInWords(report)} ${where}.`);
  }
  if (imagesInMemory) {
    lines.push("", "**The images lay in memory (tmpfs): what is called this machine's disk is none.**");
  }
  if (options.quick || options.rounds < DEPENDABLE_ROUNDS_MIN) {
    lines.push("", "**Too little work or too few rounds: shows that it runs, is no measurement.**");
  }
  return lines;
}

function workInWords(name: WorkName, { options }: SeedReport): string {
  const work = workOf(name, options.memoryMiB, options.quick);
  const mib = `${work.bytes / MIB} MiB`;
  if (name === "sweep") return `${mib}, ${work.sweeps} sweep(s)`;
  return name === "random" ? `${mib}, ${work.accesses.toLocaleString("en")} visits` : `a file of ${mib}`;
}

function workTable(report: SeedReport, work: WorkName, devices: readonly DeviceName[]): string[] {
  const rows = devices.map((device) => {
    const runs = runsOf(report, work, device);
    const of = (pick: (run: SeedRun) => number) => median(runs.map(pick));
    const seconds = runs.map((run) => run.seconds);
    const range =
      runs.length > 1 ? ` [${figure(Math.min(...seconds))} - ${figure(Math.max(...seconds))}]` : "";
    const isCluster = runs[0]!.bytesPerPageOut !== undefined;
    return [
      deviceTitles[device][0],
      `${figure(median(seconds))}${range}`,
      of((run) => run.pagesPerSecond).toFixed(0),
      of((run) => run.pagesOut).toFixed(0),
      of((run) => run.pagesIn).toFixed(0),
      of((run) => run.writesPerPageOut).toFixed(3),
      isCluster ? of((run) => run.messagesPerPageOut!).toFixed(3) : "-",
      isCluster ? of((run) => run.bytesPerPageOut!).toFixed(0) : "-",
    ];
  });
  const head = ["device", "run time, s", "pages/s", "pages out", "pages in", "write requests / page out"];
  return table([...head, "messages / page out", "bytes sent / page out"], rows);
}

function failures({ failures: all }: SeedReport): string[] {
  if (all.length === 0) return [];
  return ["", "## What did not work", "", ...all.map((failure) => `- ${failure.split("\n", 1)[0]}`)];
}

/** The run times as a picture. */
export function toSvg(report: SeedReport): string {
  const { options } = report;
  const panels = workNames.flatMap((work) => {
    const bars = deviceNames.flatMap((device): Bar[] => {
      const seconds = runsOf(report, work, device).map((run) => run.seconds);
      if (seconds.length === 0) return [];
      const [least, most] = [Math.min(...seconds), Math.max(...seconds)];
      return [
        { label: deviceTitles[device][0], colour: colours[device], value: median(seconds), least, most },
      ];
    });
    return bars.length === 0 ? [] : [{ title: workTitles[work][0], bars }];
  });
  const link = options.linkMbit > 0 ? ` Clusters behind ${linkInWords(report)}.` : "";
  return svgOf({
    title: `Run time of work in ${timesOf(options.quick)} times the memory (guest of ${options.memoryMiB} MiB)`,
    axis: "seconds (less is better)",
    panels,
    note: `Medians of ${options.rounds} round(s); whiskers from the least to the most.${link}`,
  });
}

function runsOf(report: SeedReport, work: WorkName, device: DeviceName): SeedRun[] {
  return report.runs.filter((run) => run.work === work && run.device === device);
}

function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
