import { tmpdir } from "node:os";
import { missingTools } from "../../support/tools.ts";
import { missingRequirements } from "../../system/guest/requirements.ts";
import { Scope } from "../../system/guest/scope.ts";
import { UsageError } from "../arguments.ts";
import { describeMachine } from "../machine.ts";
import { imagesLieInMemory } from "./devices.ts";
import { measureWork, type SeedRun } from "./measure.ts";
import { parseOptions, type SeedOptions, usage } from "./options.ts";
import { toMarkdown, writeReport } from "./report.ts";

function say(line: string): void {
  process.stderr.write(`bench:seed: ${line}\n`);
}

/** Gives the exit status. */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === "help") {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const missing = [...missingRequirements(), ...missingTools(["nbdkit"])];
  if (missing.length > 0) throw new UsageError(`this machine lacks ${missing.join(", ")}`);
  const startedAt = new Date().toISOString();
  const machine = await describeMachine();
  const { runs, failures } = await measureAll(options);
  failures.push(...differentSums(runs));
  const { rounds, memoryMiB, linkMbit, quick } = options;
  const imagesInMemory = imagesLieInMemory(tmpdir());
  const report = {
    startedAt,
    machine,
    options: { rounds, memoryMiB, linkMbit, quick },
    runs,
    failures,
    imagesInMemory,
  };
  process.stdout.write(toMarkdown(report));
  for (const path of writeReport(options.outputDirectory, report)) say(`wrote ${path}`);
  return failures.length === 0 ? 0 : 1;
}

/** Each round starts with another device, so that drift of the machine hits all alike. */
async function measureAll(options: SeedOptions): Promise<{ runs: SeedRun[]; failures: string[] }> {
  const runs: SeedRun[] = [];
  const failures: string[] = [];
  const { devices, memoryMiB, linkMbit, quick } = options;
  let scope = new Scope();
  const whole = new Scope();
  whole.closeOnSignals();
  whole.defer(() => scope.close());
  for (let round = 1; round <= options.rounds; round++) {
    for (const work of options.works) {
      for (let turn = 0; turn < devices.length && !whole.closing; turn++) {
        const device = devices[(turn + round - 1) % devices.length]!;
        scope = new Scope();
        try {
          const run = await measureWork(scope, { work, device, round, memoryMiB, linkMbit, quick });
          runs.push(run);
          const { seconds, pagesPerSecond } = run;
          const figures = `${seconds.toFixed(1)} s, ${pagesPerSecond.toFixed(0)} pages/s`;
          say(`round ${round}/${options.rounds} ${work} ${device}: ${figures}`);
        } catch (error) {
          failures.push(`round ${round}, ${error instanceof Error ? error.message : String(error)}`);
          say(failures.at(-1)!);
        } finally {
          await scope.close();
        }
      }
    }
  }
  return { runs, failures };
}

/** A result that is not the same everywhere: a page came back wrong somewhere. */
function differentSums(runs: readonly SeedRun[]): string[] {
  const sums = new Set(runs.filter((run) => run.work === "sort").map((run) => run.sum));
  return sums.size > 1 ? [`sort gave different results: ${[...sums].join(", ")}`] : [];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof UsageError ? `${error.message}\n${usage}` : (error as Error).stack;
  process.stderr.write(`bench:seed: ${text}\n`);
  process.exitCode = 1;
}
