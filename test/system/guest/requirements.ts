import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Programs that a guest run needs, and the Debian package of each. */
const PROGRAMS: readonly (readonly [program: string, debianPackage: string])[] = [
  ["linux.uml", "user-mode-linux"],
  ["uml_mconsole", "uml-utilities"],
  ["ip", "iproute2"],
  ["insmod", "kmod"],
  ["nbd-client", "nbd-client"],
  ["stress-ng", "stress-ng"],
  ["perl", "perl-base"],
  ["setpriv", "util-linux"],
  ["mkswap", "util-linux"],
  ["taskset", "util-linux"],
];
const MODULES = "/usr/lib/uml/modules";

/** What this machine lacks for a guest run, one line each. Empty: it can be done. */
export function missingRequirements(programs: readonly (readonly [string, string])[] = PROGRAMS): string[] {
  const missing: string[] = [];
  if (process.platform !== "linux" || process.arch !== "x64") missing.push("Linux on x86-64");
  if (process.getuid?.() !== 0) missing.push("root (network namespace, tap device)");
  if (!existsSync("/dev/net/tun")) missing.push("/dev/net/tun (tap device)");
  for (const [program, debianPackage] of programs) {
    if (!isOnPath(program)) missing.push(`${program} (Debian package ${debianPackage})`);
  }
  if (isOnPath("linux.uml") && !hasNbdModule())
    missing.push(`the nbd module of User-Mode Linux in ${MODULES}`);
  return missing;
}

/**
 * The reason to skip a test, or undefined to run it. Where CI=true nothing may be skipped: then it throws, so that
 * a machine that lacks something fails aloud.
 */
export function skipReason(
  missing: readonly string[] = missingRequirements(),
  mustRun: boolean = process.env["CI"] === "true",
): string | undefined {
  if (missing.length === 0) return undefined;
  const reason = `needs ${missing.join(", ")}`;
  if (mustRun) throw new Error(`the guest tests cannot be skipped where CI=true: ${reason}`);
  return reason;
}

function isOnPath(program: string): boolean {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => folder !== "" && existsSync(join(folder, program)));
}

function hasNbdModule(): boolean {
  try {
    return readdirSync(MODULES).some((version) =>
      existsSync(join(MODULES, version, "kernel/drivers/block/nbd.ko")),
    );
  } catch {
    return false;
  }
}
