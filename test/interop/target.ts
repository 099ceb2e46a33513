import { existsSync } from "node:fs";
import { Child } from "../support/child.ts";
import { freePort } from "../support/free-port.ts";
import { built, endpoint, LocalCluster } from "../support/local-cluster.ts";
import { Scratch } from "../support/scratch.ts";

/** An address that something listens on. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A freshly started NBD server, reachable over a Unix socket and over TCP, with the empty export name. */
export interface InteropTarget {
  readonly kind: "nswap" | "front" | "nbdkit";
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
 * Starts what INTEROP_TARGET names:
 * - `nswap` (default): a whole cluster of real processes.
 * - `front`: nswap's NBD front with memory behind it, to tell the front's faults from others.
 * - `nbdkit`: the field's model server, which shows that the tests ask for nothing that a good server does not do.
 */
export async function startTarget(sizeBytes = 64 * MIB): Promise<InteropTarget> {
  const kind = process.env["INTEROP_TARGET"] ?? "nswap";
  const start = starters[kind];
  if (start === undefined) throw new Error(`INTEROP_TARGET=${kind}: accepted are nswap, front and nbdkit`);
  const scratch = new Scratch();
  const children: Child[] = [];
  const stop = async () => {
    const ended = children
      .filter((child) => !child.isRunning)
      .map((child) => `${child.title}\n${child.stderr}`);
    for (const child of children.reverse()) await child.stop();
    scratch.remove();
    if (ended.length > 0) throw new Error(`ended on its own: ${ended.join("\n")}`);
  };
  try {
    const socketPath = scratch.file("nbd.sock");
    const port = await freePort();
    const uri = `nbd+unix:///?socket=${socketPath}`;
    const addresses = {
      sizeBytes,
      uri,
      socketPath,
      tcpUri: `nbd://127.0.0.1:${port}/`,
      host: "127.0.0.1",
      port,
    };
    const specifics = await start({ children, scratch, socketPath, port, sizeBytes });
    return { ...addresses, ...specifics, pids: () => children.flatMap((child) => child.pids()), stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** What a starter is given: it adds its children as they start, so that a failed start leaves nothing behind. */
interface Start {
  readonly children: Child[];
  readonly scratch: Scratch;
  readonly socketPath: string;
  readonly port: number;
  readonly sizeBytes: number;
}

type Specifics = Pick<InteropTarget, "kind" | "dataPorts" | "controlPorts">;

async function startNbdkit({ children, scratch, socketPath, port, sizeBytes }: Start): Promise<Specifics> {
  const start = async (pidFile: string, args: string[]) => {
    const child = new Child("nbdkit", ["-f", "-P", pidFile, ...args]);
    children.push(child);
    await untilFile(child, pidFile);
  };
  await start(scratch.file("memory.pid"), ["-U", socketPath, "memory", String(sizeBytes)]);
  const relay = ["-i", "127.0.0.1", "-p", String(port), "nbd", `socket=${socketPath}`];
  await start(scratch.file("relay.pid"), relay);
  return { kind: "nbdkit", dataPorts: [], controlPorts: [] };
}

async function startFront({ children, socketPath, port, sizeBytes }: Start): Promise<Specifics> {
  const program = built("test/bench/ram-front.js");
  const child = new Child(process.execPath, [program, socketPath, String(sizeBytes), String(port)]);
  children.push(child);
  await untilFile(child, socketPath);
  return { kind: "front", dataPorts: [], controlPorts: [] };
}

async function startNswap({ children, socketPath, port, sizeBytes }: Start): Promise<Specifics> {
  const cluster = await LocalCluster.start({ sizeBytes, socketPath, port }, (child) => children.push(child));
  const { nodes } = await cluster.status();
  const dataPorts = nodes.flatMap(({ role, data }) => (role === "server" ? endpoint(data!) : []));
  return { kind: "nswap", dataPorts, controlPorts: nodes.map((node) => endpoint(node.control)) };
}

const starters: Partial<Record<string, (start: Start) => Promise<Specifics>>> = {
  nswap: startNswap,
  front: startFront,
  nbdkit: startNbdkit,
};

async function untilFile(child: Child, path: string): Promise<void> {
  await child.until(path, () => (existsSync(path) ? true : undefined));
}
