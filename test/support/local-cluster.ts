import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Child, runTool } from "./child.ts";

/** A node of a running cluster, as `nswap status --json` tells it. */
export interface NodeStatus {
  readonly name: string;
  readonly role: "server" | "parity" | "client";
  readonly pid: number;
  /** HOST:PORT; null for a client. */
  readonly data: string | null;
  readonly control: string;
}

/** What `nswap status --json` tells of one client. */
export interface ClientStatus {
  readonly slots: { readonly mapped: number; readonly sameFilled: number };
  readonly requests: { readonly errors: number };
  readonly traffic: { readonly pagesOut: number; readonly bytesSent: number };
}

export interface ClusterStatus {
  readonly nodes: readonly NodeStatus[];
  readonly clients: readonly ClientStatus[];
}

export interface LocalClusterOptions {
  readonly sizeBytes: number;
  readonly socketPath: string;
  /** NBD over TCP on this port of loopback; only on the socket when left out. */
  readonly port?: number;
  readonly servers?: number;
  /** Default none; parity comes with a parity server. */
  readonly redundancy?: "none" | "mirror" | "parity";
}

/** `nswap local`, running as its users run it: the built program in processes of its own. */
export class LocalCluster {
  readonly child: Child;
  readonly control: string;

  private constructor(child: Child, control: string) {
    this.child = child;
    this.control = control;
  }

  /** Starts it; `adopt` is given the child before it is waited for, so that a failed start can be ended. */
  static async start(options: LocalClusterOptions, adopt: (child: Child) => void): Promise<LocalCluster> {
    const servers = options.servers ?? 4;
    const child = new Child(process.execPath, [nswapProgram(), ...localArguments(options, servers)]);
    adopt(child);
    const ready = await child.until("its ready line", () => readyLine(child.stdout), 60_000);
    const cluster = new LocalCluster(child, ready.control);
    const { nodes } = await cluster.status();
    if (nodes.filter((node) => node.role === "server").length !== servers) {
      throw new Error(`${servers} servers were asked for, the cluster has ${JSON.stringify(nodes)}`);
    }
    return cluster;
  }

  async status(): Promise<ClusterStatus> {
    const result = await runTool(process.execPath, [
      nswapProgram(),
      "status",
      "--json",
      "--control",
      this.control,
    ]);
    if (result.status !== 0) throw new Error(`nswap status: ${result.stdout}${result.stderr}`);
    return JSON.parse(result.stdout) as ClusterStatus;
  }
}

/** Bytes that each server lends so that there is room for every slot twice: old pages are held beside the new ones. */
export function capacityFor(redundancy: string, sizeBytes: number, servers: number): number {
  const slots = (redundancy === "mirror" ? 4 : 2) * sizeBytes;
  return Math.ceil(slots / servers / 4096) * 4096;
}

function localArguments(options: LocalClusterOptions, servers: number): string[] {
  const redundancy = options.redundancy ?? "none";
  const capacityBytes = capacityFor(redundancy, options.sizeBytes, servers);
  const parity = redundancy === "parity" ? "1" : "0";
  const args = [
    "local",
    "--servers",
    String(servers),
    "--parity",
    parity,
    "--size",
    String(options.sizeBytes),
  ];
  args.push("--capacity", String(capacityBytes), "--reserve", "64M", "--redundancy", redundancy);
  args.push("--socket", options.socketPath, "--control", "127.0.0.1:0", "--log", "json");
  if (options.port !== undefined) args.push("--nbd", `127.0.0.1:${options.port}`);
  return args;
}

/** The ready line of the cluster, once it is there. */
function readyLine(stdout: string): { control: string } | undefined {
  for (const line of stdout.split("\n").slice(0, -1)) {
    const parsed = parseLine(line);
    if (parsed?.["role"] === "local" && typeof parsed["control"] === "string")
      return { control: parsed["control"] };
  }
  return undefined;
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** The built program: this file runs as it is under vitest and compiled in the benchmark. */
export function nswapProgram(): string {
  return built("bin/nswap.js");
}

/** Path of a file of the build. Throws when there is no build. */
export function built(path: string): string {
  const root = import.meta.url.endsWith(".ts") ? "../../dist/" : "../../";
  const file = fileURLToPath(new URL(root + path, import.meta.url));
  if (!existsSync(file)) throw new Error(`dist/${path} is missing: npm run build comes first`);
  return file;
}

/** Splits HOST:PORT. */
export function endpoint(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
