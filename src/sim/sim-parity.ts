import type { HeapBlockPool } from "../base/blocks.ts";
import { toHex } from "../base/hex.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { MemoryServerCore } from "../server/memory-server.ts";
import type { Network } from "./network.ts";
import { Process } from "./process.ts";
import { SimDataPort } from "./sim-data-port.ts";
import { SimFlusher } from "./sim-flusher.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimNodes } from "./sim-nodes.ts";
import { drawBytes } from "./sim-options.ts";
import type { SimServerOptions } from "./sim-server.ts";
import type { End } from "./wire.ts";

export interface SimParityOptions extends SimServerOptions {
  network: Network;
  nodes: SimNodes;
}

/** STUB */
export class SimParity implements SimNode {
  readonly role = "parity";
  readonly address: string;
  readonly process: Process;
  readonly core: MemoryServerCore;
  readonly identity: string;
  readonly options: SimParityOptions;
  readonly #port: SimDataPort;
  constructor(options: SimParityOptions) {
    const { queue, prng, readBytes } = options;
    this.options = options;
    this.address = options.address;
    this.process = new Process(queue, options.turnMs);
    const flusher = new SimFlusher(this.process, prng, () => this.core.flush());
    this.#port = new SimDataPort({
      ...{ process: this.process, flusher, readBytes, blocks: options.blocks.max },
      connect: (out: OutQueue, onClosed) => this.core.connect(out, onClosed),
    });
    const identity = drawBytes(prng, 16);
    this.identity = toHex(identity);
    this.core = new MemoryServerCore({
      identity,
      name: `${options.address}.${options.life}`,
      capacityFrames: options.capacityFrames,
      prover: options.prover,
      nonce: () => drawBytes(prng, 32),
      hashSeed: prng.next(),
      blocks: { pool: this.pool, ...options.blocks },
      clientsMax: 8,
      storeChunkBytes: 64 * 4096,
      queueBytesSoft: options.queueBytesSoft,
      listScanFramesMax: options.listScanFrames,
    });
  }
  get pool(): HeapBlockPool {
    return this.#port.pool;
  }
  get carryPool(): HeapBlockPool {
    return this.#port.carryPool;
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
