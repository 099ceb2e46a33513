import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "./child.ts";
import { type ConsoleEvents, GuestConsole } from "./console.ts";
import { type GuestJob, jobText, type WorkJob } from "./job.ts";
import { kernelErrors } from "./kernel-log.ts";
import type { GuestNetwork } from "./network.ts";
import { temporaryFolder } from "./own-things.ts";
import { guestProcessor } from "./processor.ts";
import { insidePath } from "./root.ts";
import type { Scope } from "./scope.ts";

export interface GuestReport {
  readonly console: GuestConsole;
  /** Empty when the guest did all it was told to, and its kernel had nothing to complain of. */
  readonly errors: readonly string[];
  /** Lines of the kernel log that tell of an error; they are in `errors` too. */
  readonly kernelErrors: readonly string[];
  readonly seconds: number;
}

export interface BootOptions extends ConsoleEvents {
  readonly timeoutMs: number;
}

const MONITOR_NAME = "guest";
const DIAGNOSIS_MS = 3_000;

/**
 * Boots a User-Mode Linux guest that does `job`, and waits for its end. A guest that is not through in time is asked
 * for its blocked tasks and its memory (they end up in the console) and killed; that is an error in the report.
 */
export async function runGuest(
  scope: Scope,
  network: GuestNetwork,
  job: GuestJob | WorkJob,
  options: BootOptions,
): Promise<GuestReport> {
  const folder = temporaryFolder(scope);
  const tap = await network.tap();
  const jobFile = join(folder, "job");
  writeFileSync(jobFile, jobText(job, tap.address));

  const console = new GuestConsole(options);
  const startMs = performance.now();
  // In a process namespace of its own, because User-Mode Linux is many processes: they end all together.
  const command = [
    "--pid",
    "--fork",
    "--kill-child",
    "taskset",
    "-c",
    guestProcessor(),
    "linux.uml",
    ...bootArguments(job, tap.device, folder, jobFile),
  ];
  const machine = network.start("unshare", command, {
    onLine: (line) => console.push(line),
  });
  scope.defer(async () => void (await machine.kill()));

  const late = await endsLate(machine, options.timeoutMs);
  const logErrors = kernelErrors(console.kernelLines);
  if (late) {
    await diagnose(folder);
    await machine.kill();
  }
  const seconds = (performance.now() - startMs) / 1000;
  const errors = [...console.failures, ...logErrors];
  if (late)
    errors.unshift(`the guest was still in step "${console.step}" after ${options.timeoutMs / 1000} s`);
  else if (console.results.get("finished") !== "yes") {
    errors.unshift(`the guest ended (${await machine.ended}) in step "${console.step}"`);
  }
  return { console, errors, kernelErrors: logErrors, seconds };
}

function bootArguments(job: GuestJob | WorkJob, tap: string, folder: string, jobFile: string): string[] {
  return [
    `umid=${MONITOR_NAME}`,
    `uml_dir=${folder}`,
    `mem=${job.memoryMiB}M`,
    // gro=1: without it large incoming frames are dropped.
    `vec0:transport=tap,ifname=${tap},depth=128,gro=1`,
    "root=/dev/root",
    "rootfstype=hostfs",
    "rootflags=/",
    "ro",
    `init=${insidePath("init.sh")}`,
    "con=null",
    "con0=null,fd:1",
    // Everything the kernel says goes to the console, with a time, for kernel-log.ts.
    "loglevel=7",
    "printk.time=1",
    `nswap.job=${jobFile}`,
  ];
}

async function endsLate(machine: Child, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), timeoutMs);
  });
  const result = await Promise.race([late, machine.ended.then(() => false)]);
  clearTimeout(timer);
  return result;
}

/** Has a guest that hangs print its memory and its blocked tasks. (All tasks, sysrq t, makes this kernel panic.) */
async function diagnose(folder: string): Promise<void> {
  for (const key of ["m", "w"]) {
    const ask = new Child("uml_mconsole", [join(folder, MONITOR_NAME, "mconsole"), "sysrq", key]);
    const timer = setTimeout(() => ask.signal("SIGKILL"), DIAGNOSIS_MS);
    await ask.ended;
    clearTimeout(timer);
  }
  await new Promise((resolve) => setTimeout(resolve, DIAGNOSIS_MS));
}
