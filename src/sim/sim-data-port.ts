import { HeapBlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { Process } from "./process.ts";
import type { SimFlusher } from "./sim-flusher.ts";
import { type SimRegion, SimSocket, type SocketHandler } from "./sim-socket.ts";
import type { End } from "./wire.ts";

/** The core's side of a connection to a data port. */
export interface PortConnection {
  receive(bytes: Uint8Array, start: number, end: number): number;
  resume(): void;
  disconnected(): void;
}

export interface SimDataPortOptions {
  process: Process;
  flusher: SimFlusher;
  readBytes: number;
  /** Blocks that the queues of all connections may take. */
  blocks: number;
  connect: (out: OutQueue, onClosed: () => void) => PortConnection;
}

/** What serves the data port of a simulated server: a driver that behaves towards its core as io/data-port.ts does. */
export class SimDataPort {
  readonly pool: HeapBlockPool;
  readonly carryPool: HeapBlockPool;
  readonly region: SimRegion;
  readonly #options: SimDataPortOptions;
  readonly #ends = new Set<End>();

  constructor(options: SimDataPortOptions) {
    this.#options = options;
    this.pool = new HeapBlockPool(options.blocks, limits.dataBlockBytes);
    this.carryPool = new HeapBlockPool(256, options.readBytes);
    const bytes = new Uint8Array(options.readBytes);
    this.region = { bytes, start: 0, window: bytes };
  }

  /** The ends of the connections that stand. */
  get ends(): End[] {
    return [...this.#ends];
  }

  accept(end: End): void {
    const { process, flusher, connect } = this.#options;
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
    const socket = new SimSocket(out, handler, {
      ...{ process, region: this.region, carryPool: this.carryPool, flusher },
    });
    const connection = connect(out, () => socket.finish());
    this.#ends.add(end);
    socket.attach(end);
  }

  /** The process dies; `silently`: no peer is told. */
  crash(silently: boolean): void {
    for (const end of this.#ends) end.die(silently);
  }
}
