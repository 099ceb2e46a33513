import { readFileSync } from "node:fs";
import { join } from "node:path";
import { withinCgroups } from "./cgroup-memory.ts";

/** Memory that a process may count on, bytes. */
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

/** The machine's memory, or what the cgroups of this process leave of it. @param root for tests */
export function readMemoryInfo(root = "/"): MemoryInfo {
  return withinCgroups(parseMeminfo(readFileSync(join(root, "proc/meminfo"), "utf8")), root);
}
