import { spawnSync } from "node:child_process";

/** A program that tests and the benchmark drive from outside: how to see whether it is here, where it is from. */
export interface Tool {
  /** Name of the executable. */
  readonly command: string;
  /** Debian package that brings it. */
  readonly debianPackage: string;
  /** Command line that ends with status 0 exactly when the tool is usable. */
  readonly probe: readonly string[];
}

/** Debian's Python modules belong to Debian's python3, which another python3 in the path may hide. */
const DEBIAN_FIRST_PATH = `/usr/sbin:/usr/bin:/sbin:/bin:${process.env["PATH"] ?? ""}`;

/** Environment in which every tool is probed and run. */
export const toolEnvironment: NodeJS.ProcessEnv = { ...process.env, PATH: DEBIAN_FIRST_PATH, LC_ALL: "C" };

function tool(command: string, debianPackage: string, ...probeArguments: string[]): Tool {
  return { command, debianPackage, probe: [command, ...probeArguments] };
}

/** Every outside program used under test/, by the name of its executable. */
export const tools = {
  fio: {
    command: "fio",
    debianPackage: "fio",
    probe: ["sh", "-c", "fio --enghelp | grep -qw nbd"],
  } as Tool,
  nbdkit: tool("nbdkit", "nbdkit", "--version"),
  nbdinfo: tool("nbdinfo", "libnbd-bin", "--version"),
  nbdcopy: tool("nbdcopy", "libnbd-bin", "--version"),
  nbdsh: tool("nbdsh", "libnbd-bin and python3-libnbd", "-n", "-c", "pass"),
  "qemu-io": tool("qemu-io", "qemu-utils", "--version"),
  "qemu-img": tool("qemu-img", "qemu-utils", "--version"),
  "nbd-client": tool("nbd-client", "nbd-client", "--version"),
} satisfies Record<string, Tool>;

export type ToolName = keyof typeof tools;

/** Whether the tool is installed and answers its probe. */
export function isToolPresent(name: ToolName): boolean {
  const [command, ...rest] = tools[name].probe;
  const probe = spawnSync(command!, rest, { env: toolEnvironment, stdio: "ignore", timeout: 20_000 });
  return probe.status === 0;
}

/** One sentence for each tool that is not usable here; empty when all are. */
export function missingTools(names: readonly ToolName[]): string[] {
  return names
    .filter((name) => !isToolPresent(name))
    .map((name) => `${name} is missing (Debian package ${tools[name].debianPackage})`);
}
