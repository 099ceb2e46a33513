import type { Prover } from "../../proto/peer/index.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import type { Prng } from "../base/prng.ts";
import { MemoryServerCore } from "../server/memory-server.ts";
import type { EventQueue } from "./event-queue.ts";
import { Process } from "./process.ts";
import { SimDataPort } from "./sim-data-port.ts";
import { SimFlusher } from "./sim-flusher.ts";
import type { SimNode } from "./sim-node.ts";
import { drawBytes } from "./sim-options.ts";
import type { End } from "./wire.ts";

export interface SimServerOptions {
  queue: EventQueue;
  prng: Prng;
  address: string;
  /** How many servers there were at this address before. */
  life: number;
  capacityFrames: number;
  turnMs: number;
  readBytes: number;
  queueBytesSoft: number;
  listScanFrames: number;
  clientGraceMs: number;
  reapFramesPerTick: number;
  blocks: { soft: number; max: number };
  prover: Prover | undefined;
}

/** What the cores of servers of both kinds are given; draws an identity and a seed. */
export function coreOptions(options: SimServerOptions, port: SimDataPort) {
  const { prng } = options;
  return {
    identity: drawBytes(prng, 16),
    name: `${options.address}.${options.life}`,
    capacityFrames: options.capacityFrames,
    prover: options.prover,
    nonce: () => drawBytes(prng, 32),
    hashSeed: prng.next(),
    blocks: { pool: port.pool, ...options.blocks },
    clientsMax: 8,
    clientGraceMs: options.clientGraceMs,
    reapFramesPerTick: options.reapFramesPerTick,
    storeChunkBytes: 64 * 4096,
    queueBytesSoft: options.queueBytesSoft,
    listScanFramesMax: options.listScanFrames,
  };
}

/** One life of a simulated memory server: the core, and a driver that behaves as the data port does. */
export class SimServer implements SimNode {
  readonly role = "server";
  readonly isAtWork = false;
  readonly address: string;
  readonly process: Process;
  readonly core: MemoryServerCore;
  readonly identity: string;
  readonly options: SimServerOptions;
  readonly #port: SimDataPort;

  constructor(options: SimServerOptions) {
    const { queue, prng, readBytes } = options;
    this.options = options;
    this.address = options.address;
    this.process = new Process(queue, options.turnMs);
    const flusher = new SimFlusher(this.process, prng, () => this.core.flush());
    this.#port = new SimDataPort({
      ...{ process: this.process, flusher, readBytes, blocks: options.blocks.max },
      connect: (out, onClosed) => this.core.connect(out, onClosed),
    });
    const own = coreOptions(options, this.#port);
    this.identity = toHex(own.identity);
    this.core = new MemoryServerCore(own);
    this.process.every(limits.tickMs, () => {
      this.core.tick(this.process.nowMs);
      flusher.wake();
    });
  }

  get queuedBlocks(): number {
    return this.#port.pool.taken;
  }

  get carriedBlocks(): number {
    return this.#port.carryPool.taken;
  }

  get faultsFound(): Record<string, number> {
    return { "broken protocols": this.core.snapshot().counters.protocolErrors };
  }

  get wrongFound(): Record<string, number> {
    return {};
  }

  get ends(): End[] {
    return this.#port.ends;
  }

  accept(end: End): void {
    this.#port.accept(end);
  }

  crash(silently: boolean): void {
    this.process.alive = false;
    this.#port.crash(silently);
  }
}
