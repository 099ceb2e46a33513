import { cpus, loadavg, release, totalmem } from "node:os";
import { runTool } from "../support/child.ts";
import { socketBufferBytes } from "./socket-buffers.ts";

/** Where the figures come from. */
export interface Machine {
  readonly cpuModel: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly fio: string;
  readonly nbdkit: string;
  /** Send buffer of a Unix socket (net.core.wmem_default): how much fio and a server can be ahead of each other. */
  readonly socketBufferBytes: number;
  /** Load average over a minute before anything was started: above about 0.5 others were using the machine. */
  readonly loadAtStart: number;
}

export async function describeMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    cpuModel: processors[0]?.model ?? "unknown",
    cpuCount: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    fio: await versionOf("fio"),
    nbdkit: await versionOf("nbdkit"),
    socketBufferBytes: socketBufferBytes(),
    loadAtStart: loadavg()[0]!,
  };
}

async function versionOf(command: string): Promise<string> {
  const ended = await runTool(command, ["--version"]).catch(() => undefined);
  return ended === undefined ? `no ${command}` : ended.stdout.split("\n")[0]!.trim();
}
