import { readFileSync } from "node:fs";

/** The machine's memory, bytes. */
export interface MemoryInfo {
  readonly totalBytes: number;
  /** What can be taken without swapping, as the kernel estimates it. */
  readonly availableBytes: number;
}

/** Reads the text of /proc/meminfo. Throws if MemTotal or MemAvailable is missing. */
export function parseMeminfo(text: string): MemoryInfo {
  const field = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+([0-9]+) kB$`, "m").exec(text);
    if (!found) throw new Error(`/proc/meminfo has no ${name}`);
    return Number(found[1]) * 1024;
  };
  return { totalBytes: field("MemTotal"), availableBytes: field("MemAvailable") };
}

/** The memory this process may count on: the machine's, or its cgroup's where that is less. */
export function readMemoryInfo(
  path = "/proc/meminfo",
  cgroupLimitBytes = process.constrainedMemory(),
): MemoryInfo {
  const machine = parseMeminfo(readFileSync(path, "utf8"));
  // 0 or a number past all memory means that there is no limit.
  if (!(cgroupLimitBytes > 0 && cgroupLimitBytes < machine.totalBytes)) return machine;
  return {
    totalBytes: cgroupLimitBytes,
    availableBytes: Math.min(machine.availableBytes, cgroupLimitBytes),
  };
}
