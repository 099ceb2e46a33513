import { existsSync } from "node:fs";
import { Child } from "../support/child.ts";
import { freePort } from "../support/free-port.ts";
import { Scratch } from "../support/scratch.ts";

/** An address that something listens on. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A freshly started NBD server, reachable over a Unix socket and over TCP, with the empty export name. */
export interface InteropTarget {
  readonly kind: "nswap" | "nbdkit";
  readonly sizeBytes: number;
  /** NBD URI over the Unix socket. */
  readonly uri: string;
  readonly socketPath: string;
  /** NBD URI over TCP. */
  readonly tcpUri: string;
  readonly host: string;
  readonly port: number;
  /** Data ports of the memory servers; none for nbdkit. */
  readonly dataPorts: readonly Endpoint[];
  /** Control ports of all nodes; none for nbdkit. */
  readonly controlPorts: readonly Endpoint[];
  /** All processes of the target. */
  pids(): number[];
  /** Ends the target. Throws when one of its processes had ended before. */
  stop(): Promise<void>;
}

const MIB = 1024 * 1024;

/**
 * Starts what INTEROP_TARGET names: `nswap` (default), a whole cluster of real processes; or `nbdkit`, the
 * field's model server with the same content behind both sockets, which shows that the tests ask for nothing
 * that a good server does not do.
 */
export async function startTarget(sizeBytes = 64 * MIB): Promise<InteropTarget> {
  const kind = process.env["INTEROP_TARGET"] ?? "nswap";
  if (kind === "nbdkit") return startNbdkit(sizeBytes);
  if (kind === "nswap") return startNswap(sizeBytes);
  throw new Error(`INTEROP_TARGET=${kind}: accepted are nswap and nbdkit`);
}

async function startNbdkit(sizeBytes: number): Promise<InteropTarget> {
  const scratch = new Scratch();
  const socketPath = scratch.file("nbd.sock");
  const port = await freePort();
  const uri = `nbd+unix:///?socket=${socketPath}`;
  const children: Child[] = [];
  const start = async (ready: string, args: string[]) => {
    const child = new Child("nbdkit", ["-f", "-P", scratch.file(ready), ...args]);
    children.push(child);
    await child.until("its pid file", () => (existsSync(scratch.file(ready)) ? true : undefined));
  };
  const stop = async () => {
    const ended = children
      .filter((child) => !child.isRunning)
      .map((child) => `${child.title}\n${child.stderr}`);
    for (const child of children.reverse()) await child.stop();
    scratch.remove();
    if (ended.length > 0) throw new Error(`ended on its own: ${ended.join("\n")}`);
  };
  try {
    await start("memory.pid", ["-U", socketPath, "memory", String(sizeBytes)]);
    await start("tcp.pid", ["-i", "127.0.0.1", "-p", String(port), "nbd", `uri=${uri}`]);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  return {
    kind: "nbdkit",
    sizeBytes,
    uri,
    socketPath,
    tcpUri: `nbd://127.0.0.1:${port}/`,
    host: "127.0.0.1",
    port,
    dataPorts: [],
    controlPorts: [],
    pids: () => children.flatMap((child) => child.pids()),
    stop,
  };
}

async function startNswap(_sizeBytes: number): Promise<InteropTarget> {
  throw new Error("the nswap target is not there yet; INTEROP_TARGET=nbdkit");
}
