import { type Hello, PAGES_PER_FRAME_MAX, type Prover, Role } from "../../proto/peer/index.ts";
import { Arena } from "../base/arena.ts";
import { ArenaBlockPool, HeapBlockPool } from "../base/blocks.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { Prng } from "../base/prng.ts";
import { ClientCore } from "../client/client-core.ts";
import type { ClientLimits } from "../client/client-limits.ts";
import { NbdFront } from "../client/nbd-front.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Listener, Network } from "./network.ts";
import { Process } from "./process.ts";
import { SimDialer } from "./sim-dialer.ts";
import { SimFlusher } from "./sim-flusher.ts";
import { drawBytes, type Redundancy } from "./sim-options.ts";
import { type SimRegion, SimSocket, type SocketHandler } from "./sim-socket.ts";
import type { End } from "./wire.ts";

export interface SimClientOptions {
  queue: EventQueue;
  prng: Prng;
  network: Network;
  /** Host name, and address of its NBD server. */
  host: string;
  servers: readonly string[];
  parity: readonly string[];
  redundancy: Redundancy;
  groupSize: number;
  slots: number;
  turnMs: number;
  readBytes: number;
  limits: ClientLimits;
  nbdBlocks: number;
  peerBlocks: number;
  peerBlockBytes: number;
  prover: Prover | undefined;
  /** True while membership hears of a server at this address. */
  isHeard: (address: string) => boolean;
  notice: Notice;
}

/** A simulated client node, put together as the production one (node/client-data-plane.ts). */
export class SimClient implements Listener {
  readonly host: string;
  readonly process: Process;
  readonly identity: string;
  readonly arena: Arena;
  readonly core: ClientCore;
  readonly front: NbdFront;
  readonly nbdPool: ArenaBlockPool;
  readonly peerPool: ArenaBlockPool;
  readonly carryPool: HeapBlockPool;
  readonly #dialer: SimDialer;
  readonly #flusher: SimFlusher;
  readonly #region: SimRegion;
  /** Called when a connection of an NBD client is over on this side, with the end that it had. */
  onDisconnected: (end: End) => void = () => {};

  constructor(options: SimClientOptions) {
    const { queue, prng, prover, notice, readBytes } = options;
    const bounds = options.limits;
    this.host = options.host;
    this.process = new Process(queue, options.turnMs);
    const nbdBytes = options.nbdBlocks * bounds.nbdBlockBytes;
    const peerBytes = options.peerBlocks * options.peerBlockBytes;
    const { clientFrames, hedgesMax, writeHedgesMax, accumulators } = bounds;
    const pages = clientFrames + hedgesMax + writeHedgesMax + limits.fetchesMax + accumulators + 4;
    this.arena = new Arena(pages * PAGE_BYTES + readBytes + nbdBytes + peerBytes);
    const identity = drawBytes(prng, 16);
    this.identity = toHex(identity);
    const own: Omit<Hello, "nonce"> = {
      role: Role.CLIENT,
      keyed: prover !== undefined,
      identity,
      epoch: 0,
      pagesPerFrame: PAGES_PER_FRAME_MAX,
      name: options.host,
    };
    this.core = new ClientCore({
      arena: this.arena,
      slots: options.slots,
      limits: bounds,
      redundancy: options.redundancy,
      groupSize: options.groupSize,
      prng: new Prng(prng.next()),
      own: () => ({ ...own, nonce: drawBytes(prng, 32) }),
      prover,
      port: { linkClosed: (link) => this.#dialer.linkClosed(link), notice },
    });
    this.#flusher = new SimFlusher(this.process, prng, () => {
      this.front.flush();
      this.core.flush(this.process.nowMs);
    });
    this.front = new NbdFront({
      arena: this.arena,
      core: this.core,
      exportName: "",
      sizeBytes: options.slots * PAGE_BYTES,
      answerBytesMax: options.nbdBlocks * (bounds.nbdBlockBytes - PAGE_BYTES),
      limits: bounds,
      wake: () => this.#flusher.wake(),
      notice,
    });
    const { bytes } = this.arena;
    const start = this.arena.allocate(readBytes);
    this.#region = { bytes, start, window: bytes.subarray(start, start + readBytes) };
    this.nbdPool = this.#pool(options.nbdBlocks, bounds.nbdBlockBytes);
    this.peerPool = this.#pool(options.peerBlocks, options.peerBlockBytes);
    this.carryPool = new HeapBlockPool(256, readBytes);
    this.#dialer = new SimDialer({
      ...{ core: this.core, process: this.process, network: options.network, host: options.host },
      ...{ region: this.#region, sendPool: this.peerPool, carryPool: this.carryPool, flusher: this.#flusher },
      isHeard: options.isHeard,
    });
    for (const address of options.servers) this.#dialer.add(address, "server");
    for (const address of options.parity) this.#dialer.add(address, "parity");
    this.process.every(limits.tickMs, () => {
      this.core.tick(this.process.nowMs);
      this.front.tick(this.process.nowMs);
      this.#flusher.wake();
    });
  }

  /** True while a frame is in use for the slot. */
  isBusy(slot: number): boolean {
    const { frames } = this.core;
    return frames.waiter.some((waiter, frame) => waiter !== undefined && frames.slot[frame] === slot);
  }

  #pool(count: number, blockBytes: number): ArenaBlockPool {
    const { bytes, view } = this.arena;
    return new ArenaBlockPool({
      bytes,
      view,
      start: this.arena.allocate(count * blockBytes),
      count,
      blockBytes,
    });
  }

  /** An NBD client has connected. */
  accept(end: End): void {
    const out = new OutQueue(this.nbdPool, () => socket.markDirty());
    const handler: SocketHandler = {
      receive: (bytes, start, to) => connection.receive(bytes, start, to),
      drained: () => connection.drained(),
      ended: () => {
        connection.disconnected();
        this.onDisconnected(end);
      },
    };
    const { process } = this;
    const socket = new SimSocket(out, handler, {
      ...{ process, region: this.#region, carryPool: this.carryPool, flusher: this.#flusher },
    });
    const port = {
      resume: () => socket.resume(),
      finish: () => socket.finish(),
      destroy: (error: Error) => socket.destroy(error),
    };
    const connection = this.front.connect(out, port, process.nowMs);
    socket.attach(end);
  }
}
