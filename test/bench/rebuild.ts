import { setTimeout as sleep } from "node:timers/promises";
import { NodeCluster } from "../support/node-cluster.ts";
import type { Scratch } from "../support/scratch.ts";
import { type LoadWindow, quantile, VerifyingLoad } from "../support/verifying-load.ts";

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
const SERVERS = 4;
const QUIET_MS = 10_000;
const REBUILD_MS_MAX = 300_000;
/** A look at the figures takes the client's time, which is what is measured. */
const LOOK_MS = 250;

/** Latencies of single pages that were read, a few at a time. */
export interface ReadLatency {
  readonly reads: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export interface RebuildFigures {
  /** Held by the server that was killed. */
  readonly lostBytes: number;
  /** From SIGKILL until every page was covered by redundancy again. */
  readonly seconds: number;
  readonly before: ReadLatency;
  readonly during: ReadLatency;
}

/** Kills one of four memory servers that holds about `lostBytes` and watches a reader until all is covered again. */
export async function measureRebuild(
  lostBytes: number,
  scratch: Scratch,
  say: (line: string) => void,
): Promise<RebuildFigures> {
  const sizeBytes = lostBytes * SERVERS;
  const socketPath = scratch.file("rebuild.sock");
  const cluster = await NodeCluster.start({
    ...{ servers: SERVERS, parity: 1, sizeBytes, socketPath, redundancy: "parity" },
    capacityBytes: 2 * lostBytes,
  });
  try {
    const pages = sizeBytes / PAGE_BYTES;
    const address = { path: socketPath };
    const load = await VerifyingLoad.connect({
      address,
      firstPage: 0,
      pages,
      depth: 4,
      seed: 1,
      readShare: 1,
    });
    await load.fill();
    await untilCovered(cluster);
    load.start();
    say(`filled ${sizeBytes / MIB} MiB; reading for ${QUIET_MS / 1000} s`);
    load.takeWindow();
    await sleep(QUIET_MS);
    const before = latencyOf(load.takeWindow());
    const victim = cluster.node("server-2");
    const { nodes } = await cluster.status();
    const usedFrames = nodes.find((node) => node.name === victim.name)?.frames.used ?? 0;
    say(`SIGKILL ${victim.name}, which holds ${((usedFrames * PAGE_BYTES) / MIB).toFixed(0)} MiB`);
    const startMs = performance.now();
    await cluster.signal(victim.name, "SIGKILL");
    await cluster.until("the loss to be noticed", ({ links }) => links.servers < SERVERS, REBUILD_MS_MAX);
    await untilCovered(cluster);
    const seconds = (performance.now() - startMs) / 1000;
    const during = latencyOf(load.takeWindow());
    await load.stop();
    load.close();
    const { pages: figures } = await cluster.clientFigures();
    if (load.errors + load.wrongPages + figures.lost > 0)
      throw new Error(`pages were lost: ${figures.lost}; ${load.faults.join("; ")}`);
    return { lostBytes: usedFrames * PAGE_BYTES, seconds, before, during };
  } finally {
    await cluster.stop();
  }
}

const untilCovered = (cluster: NodeCluster): Promise<void> =>
  cluster.until(
    "all pages to be covered by redundancy",
    ({ pages, recovery }) => pages.unprotected === 0 && recovery.state === "idle",
    REBUILD_MS_MAX,
    LOOK_MS,
  );

function latencyOf({ readsMs, slowest }: LoadWindow): ReadLatency {
  const at = (share: number) => quantile(readsMs, share);
  return { reads: readsMs.length, p50Ms: at(0.5), p99Ms: at(0.99), slowestMs: slowest.ms };
}

/** For people, on a few lines. */
export function rebuildInWords({ lostBytes, seconds, before, during }: RebuildFigures): string {
  const told = ({ reads, p50Ms, p99Ms, slowestMs }: ReadLatency) =>
    `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, slowest ${slowestMs.toFixed(0)} ms (${reads} reads)`;
  const rate = lostBytes / MIB / seconds;
  return [
    `rebuild of ${(lostBytes / MIB).toFixed(0)} MiB: ${seconds.toFixed(1)} s, ${rate.toFixed(1)} MiB/s`,
    `reads before: ${told(before)}`,
    `reads during: ${told(during)}, p99 ${(during.p99Ms / before.p99Ms).toFixed(2)} times as long`,
  ].join("\n");
}
