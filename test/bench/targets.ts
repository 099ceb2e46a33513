import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../support/child.ts";
import { freePort } from "../support/free-port.ts";
import { built, type ClusterStatus, capacityFor, LocalCluster } from "../support/local-cluster.ts";
import { NodeCluster } from "../support/node-cluster.ts";
import type { Scratch } from "../support/scratch.ts";
import type { Link } from "./link.ts";

export const targetNames = [
  "nbdkit-memory",
  "nbdkit-two-hops",
  "front-memory",
  "nswap",
  "nswap-mirror",
  "nswap-parity",
] as const;
export type TargetName = (typeof targetNames)[number];

/** Those that can run behind a link. */
export const clusterNames: readonly TargetName[] = ["nswap", "nswap-mirror", "nswap-parity"];

/** Title of the process that holds the NBD front of the nswap target. */
export const clientTitle = "nswap client";

const PAGE_BYTES = 4096;
const FIGURES_MS_MAX = 20_000;
/** A node renews what it says of itself once a second. */
const FIGURES_AGE_MS_MAX = 1_500;

/** What each target is, for the report. */
export const targetTitles: Record<TargetName, string> = {
  "nbdkit-memory": "nbdkit memory (one hop)",
  "nbdkit-two-hops": "nbdkit nbd in front of nbdkit memory over TCP (two hops)",
  "front-memory": "nswap's NBD front with memory behind it (one hop)",
  nswap: "nswap client + 4 memory servers, no redundancy (two hops)",
  "nswap-mirror": "nswap client + 4 memory servers, each page on two (two hops)",
  "nswap-parity": "nswap client + 4 memory servers + parity server, groups of 4 (two hops)",
};

export interface Sent {
  readonly pages: number;
  readonly bytes: number;
}

/** A block device under test: running processes with an NBD front on a Unix socket. */
export interface Target {
  readonly name: TargetName;
  readonly uri: string;
  /** Every process of the target, by what it is. */
  processes(): { readonly title: string; readonly pid: number }[];
  /** Throws when the target keeps what was written by a shortcut, and so would be measured without its work. */
  checkFilled(): Promise<void>;
  /** Of a cluster: pages that servers have taken from the client so far, and all bytes that it sent to them. */
  sent?(): Promise<Sent>;
  stop(): Promise<void>;
}

/**
 * Starts a target with a device of `sizeBytes`, a cluster's client and servers on the two ends of `link` if there is
 * one; ready when this resolves. Leaves nothing behind when it throws.
 */
export async function startTarget(
  name: TargetName,
  scratch: Scratch,
  sizeBytes: number,
  link?: Link,
): Promise<Target> {
  const children: Child[] = [];
  const stop = async () => {
    for (const child of children.reverse()) await child.stop();
  };
  try {
    const socketPath = scratch.file(`${name}.sock`);
    const uri = `nbd+unix:///?socket=${socketPath}`;
    const started = await starters[name](children, socketPath, sizeBytes, link);
    return { name, uri, stop, checkFilled: async () => {}, ...started };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Starter = (
  children: Child[],
  socketPath: string,
  sizeBytes: number,
  link?: Link,
) => Promise<Pick<Target, "processes"> & Partial<Pick<Target, "checkFilled" | "sent">>>;

const starters: Record<TargetName, Starter> = {
  "nbdkit-memory": async (children, socketPath, sizeBytes) => {
    const memory = new Child("nbdkit", ["-f", "-U", socketPath, "memory", String(sizeBytes)]);
    children.push(memory);
    await untilSocket(memory, socketPath);
    return { processes: () => [{ title: "nbdkit memory", pid: memory.pid }] };
  },

  "nbdkit-two-hops": async (children, socketPath, sizeBytes) => {
    const port = await freePort();
    const memory = new Child("nbdkit", [
      "-f",
      "-i",
      "127.0.0.1",
      "-p",
      String(port),
      "memory",
      String(sizeBytes),
    ]);
    children.push(memory);
    // `retry` covers the time until the far end listens.
    const front = new Child("nbdkit", [
      "-f",
      "-U",
      socketPath,
      "nbd",
      `uri=nbd://127.0.0.1:${port}`,
      "retry=10",
    ]);
    children.push(front);
    await untilSocket(front, socketPath);
    const processes = [
      { title: "nbdkit nbd", pid: front.pid },
      { title: "nbdkit memory", pid: memory.pid },
    ];
    return { processes: () => processes };
  },

  "front-memory": async (children, socketPath, sizeBytes) => {
    const front = new Child(process.execPath, [
      built("test/bench/ram-front.js"),
      socketPath,
      String(sizeBytes),
    ]);
    children.push(front);
    await untilSocket(front, socketPath);
    return { processes: () => [{ title: "NBD front", pid: front.pid }] };
  },

  nswap: clusterStarter("none"),
  "nswap-mirror": clusterStarter("mirror"),
  "nswap-parity": clusterStarter("parity"),
};

function clusterStarter(redundancy: "none" | "mirror" | "parity"): Starter {
  return async (children, socketPath, sizeBytes, link) => {
    const options = { sizeBytes, socketPath, redundancy };
    const cluster = link
      ? await startBehind(link, children, options)
      : await LocalCluster.start(options, (child) => children.push(child));
    const { nodes } = await cluster.status();
    const processes = nodes.map(({ role, name, pid }) => ({
      title: role === "client" ? clientTitle : `nswap ${role} ${name}`,
      pid,
    }));
    return {
      processes: () => processes,
      checkFilled: () => checkEveryPageIsHeld(cluster, sizeBytes),
      sent: () => sentBy(cluster),
    };
  };
}

/** A running cluster that can be asked how it is. */
interface Cluster {
  status(): Promise<ClusterStatus>;
}

async function startBehind(
  link: Link,
  children: Child[],
  options: { sizeBytes: number; socketPath: string; redundancy: "none" | "mirror" | "parity" },
): Promise<Cluster> {
  const servers = 4;
  const cluster = await NodeCluster.start({
    ...options,
    ...{ servers, parity: options.redundancy === "parity" ? 1 : 0 },
    capacityBytes: capacityFor(options.redundancy, options.sizeBytes, servers),
    placeOf: (role) => link.placeOf(role),
  });
  children.push(...cluster.nodes.map((node) => node.child));
  return cluster;
}

/** What the client has sent, when it has been idle for long enough that the status has it all. */
async function sentBy(cluster: Cluster): Promise<Sent> {
  await sleep(FIGURES_AGE_MS_MAX);
  const { pagesOut, bytesSent } = (await cluster.status()).clients[0]!.traffic;
  return { pages: pagesOut, bytes: bytesSent };
}

/** Every slot means a page on a memory server: none is same-filled, none is missing. */
async function checkEveryPageIsHeld(cluster: Cluster, sizeBytes: number): Promise<void> {
  const deadlineMs = performance.now() + FIGURES_MS_MAX;
  for (;;) {
    // The figures come to the status a little after the fact.
    const slots = (await cluster.status()).clients[0]?.slots;
    if (slots?.mapped === sizeBytes / PAGE_BYTES && slots.sameFilled === 0) return;
    if (performance.now() > deadlineMs)
      throw new Error(`nswap: not every page is held: ${JSON.stringify(slots)}`);
  }
}

async function untilSocket(child: Child, socketPath: string): Promise<void> {
  await child.until(`a socket at ${socketPath}`, () => (existsSync(socketPath) ? true : undefined));
}
