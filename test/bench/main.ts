import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Scratch } from "../support/scratch.ts";
import { missingTools } from "../support/tools.ts";
import { UsageError } from "./arguments.ts";
import { discard, prefill } from "./fio.ts";
import { judge } from "./goals.ts";
import { inOwnNetwork, isInOwnNetwork, Link } from "./link.ts";
import { describeMachine } from "./machine.ts";
import { measure, type Run } from "./measure.ts";
import { type BenchOptions, parseOptions, usage } from "./options.ts";
import { measureRebuild, rebuildInWords } from "./rebuild.ts";
import { makeReport, toMarkdown, writeReport } from "./report.ts";
import { growthInWords, watchResidentSize } from "./rss-growth.ts";
import { raiseSocketBuffers } from "./socket-buffers.ts";
import { startTarget, type Target } from "./targets.ts";

const PAGE_BYTES = 4096;

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

/** Gives the exit status. */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === "help") {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const missing = missingTools(["fio", "nbdkit"]);
  if (missing.length > 0) throw new UsageError(missing.join("; "));
  if (options.linkMbit > 0 && !isInOwnNetwork()) return inOwnNetwork();
  const scratch = new Scratch();
  try {
    if (options.rebuildBytes > 0) return await rebuildRun(options, scratch);
    return options.rssMinutes > 0 ? await rssRun(options, scratch) : await comparison(options, scratch);
  } finally {
    scratch.remove();
  }
}

async function comparison(options: BenchOptions, scratch: Scratch): Promise<number> {
  const startedAt = new Date().toISOString();
  if (options.linkMbit === 0 && !options.asItIs) say(raiseSocketBuffers());
  const machine = await describeMachine();
  const targets: Target[] = [];
  const link = options.linkMbit > 0 ? new Link(options.linkMbit) : undefined;
  try {
    for (const name of options.targets) {
      say(`starting ${name} and writing ${options.sizeBytes / 1024 / 1024} MiB`);
      const target = await startTarget(name, scratch, options.sizeBytes, link);
      targets.push(target);
      await prefill(target.uri, options.sizeBytes);
      await target.checkFilled();
    }
    const runs = await measureInTurns(targets, options);
    // The goals are for loopback.
    const goals = link === undefined ? judge(runs) : [];
    const report = makeReport(startedAt, machine, options, runs, goals);
    process.stdout.write(toMarkdown(report));
    for (const path of writeReport(options.outputDirectory, report)) say(`wrote ${path}`);
    return options.check && goals.some((goal) => !goal.isMet) ? 1 : 0;
  } finally {
    for (const target of targets) await target.stop();
  }
}

/**
 * Round 0 warms up and is thrown away: a node that has just started still compiles its code. Within a round each
 * workload visits all targets before the next workload, and each round starts with another target, so that drift of
 * the machine hits all alike. Long requests meet a device that was discarded, and written in long requests since:
 * single pages, written elsewhere each time, leave it in pieces.
 */
async function measureInTurns(targets: readonly Target[], options: BenchOptions): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 0; round <= options.rounds; round++) {
    const label = round === 0 ? "warm-up" : `round ${round}/${options.rounds}`;
    for (const workload of options.workloads) {
      for (let turn = 0; turn < targets.length; turn++) {
        const target = targets[(turn + round) % targets.length]!;
        const seconds = round === 0 ? options.warmupSeconds : options.seconds;
        if (workload.blockBytes > PAGE_BYTES && !options.asItIs) {
          await discard(target.uri, options.sizeBytes);
          await prefill(target.uri, options.sizeBytes);
        }
        const run = await measure(target, workload, round, options.sizeBytes, seconds);
        say(
          `${label} ${workload.name} ${target.name}: ${run.iops.toFixed(0)} IOPS, mean ${run.meanUs.toFixed(1)} us`,
        );
        if (round > 0) runs.push(run);
      }
    }
  }
  return runs;
}

async function rssRun(options: BenchOptions, scratch: Scratch): Promise<number> {
  const target = await startTarget("nswap", scratch, options.sizeBytes);
  try {
    await prefill(target.uri, options.sizeBytes);
    await target.checkFilled();
    const growth = await watchResidentSize(target, options.sizeBytes, options.rssMinutes, say);
    process.stdout.write(`${growthInWords(growth)}\n`);
    mkdirSync(options.outputDirectory, { recursive: true });
    const path = join(options.outputDirectory, "rss-growth.json");
    writeFileSync(path, `${JSON.stringify(growth)}\n`);
    say(`wrote ${path}`);
    return options.check && !growth.isMet ? 1 : 0;
  } finally {
    await target.stop();
  }
}

async function rebuildRun(options: BenchOptions, scratch: Scratch): Promise<number> {
  const figures = await measureRebuild(options.rebuildBytes, scratch, say);
  process.stdout.write(`${rebuildInWords(figures)}\n`);
  mkdirSync(options.outputDirectory, { recursive: true });
  const path = join(options.outputDirectory, "rebuild.json");
  writeFileSync(path, `${JSON.stringify(figures)}\n`);
  say(`wrote ${path}`);
  return 0;
}

// Children are ended by `exit` handlers, which a signal's default action would skip.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof UsageError ? `${error.message}\n${usage}` : (error as Error).stack;
  process.stderr.write(`bench: ${text}\n`);
  process.exitCode = 1;
}
