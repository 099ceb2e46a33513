import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Prng } from "../../src/base/prng.ts";
import { NodeCluster } from "../support/node-cluster.ts";
import { Scratch } from "../support/scratch.ts";
import { isToolPresent } from "../support/tools.ts";
import { VerifyingLoad } from "../support/verifying-load.ts";
import { describeFault, drawFault, type Fault, losesMemory } from "./fault.ts";
import { FioLoad } from "./fio-load.ts";

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
/** All pages must be covered by redundancy again within this time after a loss. */
const PROTECTED_MS_MAX = 120_000;
/** Calm between two faults, at most. */
const CALM_MS_MAX = 1_500;

export interface ChaosOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly redundancy: "none" | "mirror" | "parity";
  readonly servers: number;
  readonly parity: number;
  /** Pages of the load. */
  readonly pages: number;
  /** Told what happens, line by line. */
  readonly say: (line: string) => void;
}

export interface FaultRecord {
  readonly fault: Fault;
  /** The slowest request from the fault until all was well again. */
  readonly stallMs: number;
  readonly slowest: string;
  /** How late this process itself was at worst: stalls shorter than that mean nothing. */
  readonly ownDelayMs: number;
  /** From the fault until all pages were covered again, the node's time away included. */
  readonly wellAfterMs: number;
}

export interface ChaosReport {
  readonly faults: FaultRecord[];
  readonly requests: number;
  readonly fioRounds: number;
  readonly wrongPages: number;
  readonly errors: number;
  readonly lostPages: number;
  readonly unprotectedAtEnd: number;
  /** Everything that went wrong, in words; empty when nothing did. */
  readonly findings: string[];
}

/** Faults, one at a time, on a cluster of real processes under loads that verify what they read. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { redundancy, servers, parity, pages } = options;
  const scratch = new Scratch();
  const socketPath = scratch.file("nbd.sock");
  const fioBytes = 16 * MIB;
  const sizeBytes = pages * PAGE_BYTES + fioBytes;
  // One server of each kind may be away, and pages of slots that are overwritten are held beside the new ones.
  const capacityBytes = 4 * MIB * Math.ceil((3 * sizeBytes) / (servers - 1) / (4 * MIB));
  const cluster = await NodeCluster.start({
    ...{ servers, parity, sizeBytes, capacityBytes, socketPath, redundancy },
  });
  try {
    return await new ChaosRun(options, cluster, socketPath, fioBytes).run();
  } finally {
    await cluster.stop();
    scratch.remove();
  }
}

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #cluster: NodeCluster;
  readonly #socketPath: string;
  readonly #fioBytes: number;
  readonly #prng: Prng;
  readonly #records: FaultRecord[] = [];
  readonly #findings: string[] = [];
  readonly #ownDelay = monitorEventLoopDelay({ resolution: 10 });

  constructor(options: ChaosOptions, cluster: NodeCluster, socketPath: string, fioBytes: number) {
    this.#options = options;
    this.#cluster = cluster;
    this.#socketPath = socketPath;
    this.#fioBytes = fioBytes;
    this.#prng = new Prng(options.seed);
  }

  async run(): Promise<ChaosReport> {
    const { pages, seed, say } = this.#options;
    const load = await VerifyingLoad.connect({
      ...{ address: { path: this.#socketPath }, firstPage: 0, pages, depth: 8, seed },
    });
    await load.fill();
    await this.#untilWell();
    say(`filled ${pages} pages`);
    const uri = `nbd+unix:///?socket=${this.#socketPath}`;
    const fio = isToolPresent("fio") ? new FioLoad(uri, pages * PAGE_BYTES, this.#fioBytes) : undefined;
    if (fio === undefined) say("fio is not here: its part is left out");
    this.#ownDelay.enable();
    load.start();
    try {
      await this.#faults(load);
    } catch (error) {
      this.#findings.push(describeError(error));
    }
    await load.stop();
    await fio?.stop();
    this.#ownDelay.disable();
    await load.verifyAll();
    const { pages: figures } = await this.#cluster.clientFigures();
    load.close();
    if (fio?.failure !== undefined) this.#findings.push(`fio: ${fio.failure}`);
    this.#findings.push(...load.faults);
    return {
      ...{ faults: this.#records, requests: load.requests, fioRounds: fio?.rounds ?? 0 },
      ...{ wrongPages: load.wrongPages, errors: load.errors, findings: this.#findings },
      ...{ lostPages: figures.lost, unprotectedAtEnd: figures.unprotected },
    };
  }

  async #faults(load: VerifyingLoad): Promise<void> {
    const { seconds, redundancy, say } = this.#options;
    const endMs = performance.now() + seconds * 1000;
    while (performance.now() < endMs && load.errors + load.wrongPages === 0) {
      await sleep(this.#prng.below(CALM_MS_MAX));
      load.takeWindow();
      const fault = drawFault(this.#prng, this.#options, redundancy !== "none");
      const record = await this.#inflict(fault, load);
      this.#records.push(record);
      const { stallMs, slowest, wellAfterMs, ownDelayMs } = record;
      const stall = `longest request ${stallMs.toFixed(0)} ms (${slowest}; own delay ${ownDelayMs.toFixed(0)} ms)`;
      say(`${describeFault(fault)}: ${stall}, well after ${(wellAfterMs / 1000).toFixed(1)} s`);
    }
  }

  async #inflict(fault: Fault, load: VerifyingLoad): Promise<FaultRecord> {
    const cluster = this.#cluster;
    this.#ownDelay.reset();
    const startMs = performance.now();
    if (losesMemory(fault)) {
      await cluster.signal(fault.node, fault.kind === "kill" ? "SIGKILL" : "SIGTERM");
      await sleep(fault.awayMs);
      await cluster.startAgain(fault.node);
    } else {
      await cluster.signal(fault.node, "SIGSTOP");
      await sleep(fault.awayMs);
      await cluster.signal(fault.node, "SIGCONT");
    }
    await this.#untilWell();
    const wellAfterMs = performance.now() - startMs;
    // What waited for the server may wait a little longer than until it is linked.
    await load.passed();
    const { slowest } = load.takeWindow();
    const ownDelayMs = this.#ownDelay.max / 1e6;
    const { ms: stallMs, what } = slowest;
    return { fault, stallMs, slowest: what, ownDelayMs, wellAfterMs };
  }

  /** All servers are linked in their present lives, and nothing is left unprotected or to be rebuilt. */
  async #untilWell(): Promise<void> {
    await this.#cluster.untilLinked();
    if (this.#options.redundancy === "none") return;
    const isWell = "unprotected pages and recovery to be over";
    await this.#cluster.until(
      isWell,
      ({ pages, recovery }) => pages.unprotected === 0 && recovery.state === "idle",
      PROTECTED_MS_MAX,
    );
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n${describeError(error.cause)}`;
}
