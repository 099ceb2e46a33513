import { readdirSync, readFileSync } from "node:fs";

/** Kernel clock ticks a second in /proc/PID/stat (USER_HZ, 100 on every Linux that Node runs on). */
const CLOCK_TICKS_PER_SECOND = 100;

/** The fields of /proc/PID/stat after the command name (which may hold spaces), or undefined when it is gone. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** User plus system time that a process, all its threads included, has used, in seconds; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  // utime and stime are fields 14 and 15 of proc(5); the slice starts at field 3.
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

/**
 * Processor time of the whole machine since it started, in seconds over all processors. Busy is what processes used
 * and what the hypervisor took; interrupts are not counted, since they are nobody's.
 */
export function machineCpu(): { readonly busySeconds: number; readonly totalSeconds: number } {
  const line = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]!;
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const [user, nice, system, , , , , steal] = ticks as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const total = ticks.reduce((sum, each) => sum + each, 0);
  const seconds = (each: number) => each / CLOCK_TICKS_PER_SECOND;
  return { busySeconds: seconds(user + nice + system + steal), totalSeconds: seconds(total) };
}

/** Resident size of a process in bytes; 0 when it is gone. */
export function residentBytes(pid: number): number {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    return match === null ? 0 : Number(match[1]) * 1024;
  } catch {
    return 0;
  }
}

/** Command line of a process, for tables; empty when it is gone. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").join(" ").trim();
  } catch {
    return "";
  }
}

/** A process, told apart from a later one that was given the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process. */
  readonly startTicks: number;
}

/** The identity of a process that is alive now; undefined when there is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  const fields = statFields(pid);
  return fields === undefined ? undefined : { pid, startTicks: Number(fields[19]) };
}

/** SIGKILL to exactly that process; one that has already ended is as good. */
export function killIdentified(identity: ProcessIdentity): void {
  if (identify(identity.pid)?.startTicks !== identity.startTicks) return;
  try {
    process.kill(identity.pid, "SIGKILL");
  } catch {
    // It ended between the look and the signal.
  }
}

/** A process and all its descendants, parents first. */
export function processTree(root: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[1] ?? -1);
    const siblings = childrenOf.get(parent);
    if (siblings === undefined) childrenOf.set(parent, [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (let at = 0; at < tree.length; at++) tree.push(...(childrenOf.get(tree[at]!) ?? []));
  return tree;
}
