import type { WorkJob } from "../../system/guest/job.ts";
import { type GuestReport, runGuest } from "../../system/guest/machine.ts";
import { GuestNetwork } from "../../system/guest/network.ts";
import type { Scope } from "../../system/guest/scope.ts";
import type { ClientStatus } from "../../system/guest/status.ts";
import { type DeviceName, startDevice } from "./devices.ts";
import { type WorkName, workOf } from "./works.ts";

const TIMEOUT_MS = 1_800_000;
/** The device against the guest's memory. */
const SIZE_TIMES = 2;

/** One work done in a guest of its own. Page counts are the guest kernel's. */
export interface SeedRun {
  readonly work: WorkName;
  readonly device: DeviceName;
  readonly round: number;
  /** Time of the work itself. */
  readonly seconds: number;
  /** Pages that went out and in within that time. */
  readonly pagesOut: number;
  readonly pagesIn: number;
  readonly pagesPerSecond: number;
  /** Write requests of the kernel for a page out, from boot to end. */
  readonly writesPerPageOut: number;
  /** Messages that a client sent, those that ask for pages left out, for a page out from boot to end. */
  readonly messagesPerPageOut: number | undefined;
  /** All bytes that a client sent to its servers, for a page out from boot to end. */
  readonly bytesPerPageOut: number | undefined;
  /** What the work gave, where it gives something: the same on every device. */
  readonly sum: string;
}

export interface SeedTask {
  readonly work: WorkName;
  readonly device: DeviceName;
  readonly round: number;
  readonly memoryMiB: number;
  /** Megabits a second, each way, of the link in front of a cluster's servers; 0 for none. */
  readonly linkMbit: number;
  readonly quick: boolean;
}

/** Boots a guest, has it do the work once, swapping to the device. Throws when anything was not right. */
export async function measureWork(scope: Scope, task: SeedTask): Promise<SeedRun> {
  const { work, device: name, round, memoryMiB, linkMbit, quick } = task;
  const network = await GuestNetwork.create(scope);
  const { device, client } = await startDevice(name, scope, network, memoryMiB * SIZE_TIMES, linkMbit);
  const job: WorkJob = { memoryMiB, device, work: workOf(work, memoryMiB, quick) };
  const report = await runGuest(scope, network, job, { timeoutMs: TIMEOUT_MS });
  const wrong = wrongWithRun(report);
  if (wrong.length > 0) {
    const tail = report.console.lines.slice(-30).join("\n");
    throw new Error(`${work} on ${name}: ${wrong.join("; ")}\n--- the guest's console ---\n${tail}`);
  }
  return { work, device: name, round, ...figuresOf(report, await client()) };
}

function wrongWithRun(report: GuestReport): string[] {
  const { console } = report;
  if (report.errors.length > 0) return [...report.errors];
  const wrong: string[] = [];
  if (console.number("oomKills") !== 0)
    wrong.push(`${console.number("oomKills")} processes killed for memory`);
  if (console.number("pagesOut") === 0) wrong.push("nothing was swapped out");
  return wrong;
}

/** What the guest and the client count, as figures of a run. */
export function figuresOf(
  { console }: Pick<GuestReport, "console">,
  client: Pick<ClientStatus, "traffic"> | undefined,
): Omit<SeedRun, "work" | "device" | "round"> {
  const seconds = console.number("workMs") / 1000;
  const pagesOut = console.number("workPagesOut");
  const pagesIn = console.number("workPagesIn");
  const allOut = console.number("pagesOut");
  const sent = client?.traffic;
  return {
    seconds,
    pagesOut,
    pagesIn,
    pagesPerSecond: seconds > 0 ? (pagesOut + pagesIn) / seconds : 0,
    writesPerPageOut: console.number("deviceWrites") / allOut,
    messagesPerPageOut: sent && (sent.messagesSent - sent.messagesAsking) / allOut,
    bytesPerPageOut: sent && sent.bytesSent / allOut,
    sum: console.results.get("workSum") ?? "",
  };
}
