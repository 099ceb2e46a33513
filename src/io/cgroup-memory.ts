import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { MemoryInfo } from "./meminfo.ts";

/** The files in which a version of cgroups tells of memory; `stat` counts what can be taken from files in these. */
interface Version {
  readonly limits: readonly string[];
  readonly usage: string;
  readonly files: readonly string[];
}

const v1: Version = {
  limits: ["memory.limit_in_bytes"],
  usage: "memory.usage_in_bytes",
  files: ["total_active_file", "total_inactive_file"],
};
/** Beyond `high` a process is throttled until it hardly runs: no place to be in either. */
const v2: Version = {
  limits: ["memory.max", "memory.high"],
  usage: "memory.current",
  files: ["active_file", "inactive_file"],
};

/**
 * What the cgroups that this process is in leave of a machine's memory: the least of its own and of all those above,
 * of both versions, as far as they can be seen from here. @param root where /proc and the like are; for tests
 */
export function withinCgroups(machine: MemoryInfo, root: string): MemoryInfo {
  let { totalBytes, availableBytes } = machine;
  for (const { version, folder } of foldersOf(root)) {
    const limit = Math.min(...version.limits.map((name) => bytesIn(join(folder, name))));
    if (!(limit < machine.totalBytes)) continue;
    const used = bytesIn(join(folder, version.usage)) - fileBytes(folder, version);
    totalBytes = Math.min(totalBytes, limit);
    availableBytes = Math.min(availableBytes, Math.max(0, limit - (Number.isFinite(used) ? used : 0)));
  }
  return { totalBytes, availableBytes };
}

/** The folders of this process's cgroups with the memory controller, and of those above. */
function foldersOf(root: string): { version: Version; folder: string }[] {
  const mounts = textOf(join(root, "proc/self/mountinfo")).split("\n").map(mountOf);
  return textOf(join(root, "proc/self/cgroup"))
    .split("\n")
    .flatMap((line) => {
      const [, id, controllers, path] = /^([0-9]+):([^:]*):(\/.*)$/.exec(line) ?? [];
      if (path === undefined) return [];
      const version = id === "0" && controllers === "" ? v2 : v1;
      if (version === v1 && !controllers!.split(",").includes("memory")) return [];
      const mount = mounts.find((one) => one?.version === version);
      if (!mount) return [];
      return chain(mount.root, path).map((part) => ({ version, folder: join(root, mount.point, part) }));
    });
}

/** A line of mountinfo, `36 35 98:0 ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS`; null if memory is not its matter. */
function mountOf(line: string): { version: Version; root: string; point: string } | null {
  const [before, after] = line.split(" - ");
  const [, , , mountRoot, point] = before!.split(" ").map(unescaped);
  const [type, , options] = after?.split(" ") ?? [];
  if (mountRoot === undefined || point === undefined) return null;
  if (type === "cgroup2") return { version: v2, root: mountRoot, point };
  const isMemory = type === "cgroup" && options?.split(",").includes("memory");
  return isMemory ? { version: v1, root: mountRoot, point } : null;
}

const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The path below the mount and all those above it; the mount alone where the path is none below it. */
function chain(mountRoot: string, path: string): string[] {
  const top = mountRoot === "/" ? "" : mountRoot;
  const isBelow = path.startsWith(`${top}/`) && !path.split("/").includes("..");
  const names = isBelow ? path.slice(top.length).split("/").filter(Boolean) : [];
  return ["", ...names.map((_, i) => names.slice(0, i + 1).join("/"))];
}

/** The number in a file; infinite where it says `max`, or is not there. */
function bytesIn(path: string): number {
  const text = textOf(path).trim();
  return /^[0-9]+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}

/** Page cache, which can be had back. */
function fileBytes(folder: string, version: Version): number {
  const text = textOf(join(folder, "memory.stat"));
  return version.files.reduce(
    (sum, name) => sum + Number(new RegExp(`^${name} ([0-9]+)$`, "m").exec(text)?.[1] ?? 0),
    0,
  );
}

/** Empty for a file that cannot be read: a controller that is off, a file that this kernel does not have. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
