import type { Prover } from "../../proto/peer/index.ts";
import { HeapBlockPool } from "../base/blocks.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { Prng } from "../base/prng.ts";
import { MemoryServerCore } from "../server/memory-server.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Listener } from "./network.ts";
import { Process } from "./process.ts";
import { SimFlusher } from "./sim-flusher.ts";
import { drawBytes } from "./sim-options.ts";
import { type SimRegion, SimSocket, type SocketHandler } from "./sim-socket.ts";
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
  blocks: { soft: number; max: number };
  prover: Prover | undefined;
}

/** One life of a simulated memory server: the core, and a driver that behaves as the data port does. */
export class SimServer implements Listener {
  readonly address: string;
  readonly process: Process;
  readonly core: MemoryServerCore;
  readonly identity: string;
  readonly options: SimServerOptions;
  readonly pool: HeapBlockPool;
  readonly carryPool: HeapBlockPool;
  readonly #ends = new Set<End>();
  readonly #flusher: SimFlusher;
  readonly #region: SimRegion;

  constructor(options: SimServerOptions) {
    const { queue, prng, readBytes } = options;
    this.options = options;
    this.address = options.address;
    this.process = new Process(queue, options.turnMs);
    this.pool = new HeapBlockPool(options.blocks.max, limits.dataBlockBytes);
    this.carryPool = new HeapBlockPool(256, readBytes);
    const bytes = new Uint8Array(readBytes);
    this.#region = { bytes, start: 0, window: bytes };
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
    this.#flusher = new SimFlusher(this.process, prng, () => this.core.flush());
    this.process.every(limits.tickMs, () => {
      this.core.tick(this.process.nowMs);
      this.#flusher.wake();
    });
  }

  accept(end: End): void {
    const out = new OutQueue(this.pool, () => socket.markDirty());
    const handler: SocketHandler = {
      receive: (bytes, start, to) => connection.receive(bytes, start, to),
      drained: () => {
        connection.resume();
        socket.resume();
      },
      ended: () => {
        this.#ends.delete(end);
        connection.disconnected();
      },
    };
    const { process } = this;
    const socket = new SimSocket(out, handler, {
      ...{ process, region: this.#region, carryPool: this.carryPool, flusher: this.#flusher },
    });
    const connection = this.core.connect(out, () => socket.finish());
    this.#ends.add(end);
    socket.attach(end);
  }

  /** Dies at once; `silently`: no peer is told, as when a machine loses its power. */
  crash(silently: boolean): void {
    this.process.alive = false;
    for (const end of this.#ends) {
      if (silently) {
        end.mute();
        end.other.mute();
      } else end.close(true);
    }
  }

  /** The network breaks one of its connections. */
  get ends(): End[] {
    return [...this.#ends];
  }
}
