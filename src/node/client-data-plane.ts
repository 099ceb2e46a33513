import { availableParallelism } from "node:os";
import { type Hello, PAGES_PER_FRAME_MAX, type Prover, Role } from "../../proto/peer/index.ts";
import { Arena } from "../base/arena.ts";
import { ArenaBlockPool, HeapBlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { Prng } from "../base/prng.ts";
import { ClientCore } from "../client/client-core.ts";
import { NbdFront } from "../client/nbd-front.ts";
import type { ServerLink } from "../client/server-link.ts";
import { type NbdAddress, NbdListener, type NbdListenerOptions } from "../io/nbd-listener.ts";
import { receiveRegionIn } from "../io/receive-region.ts";
import { ServerDialer } from "../io/server-dialer.ts";
import { TurnFlusher } from "../io/turn-flusher.ts";
import type { RedundancyName } from "../membership/node-record.ts";

const nbdBytes = limits.nbdBlocks * limits.nbdBlockBytes;
const peerBytes = limits.peerBlocks * limits.peerBlockBytes;
const { clientFrames, hedgesMax, writeHedgesMax, fetchesMax, accumulators } = limits;
const frames = clientFrames + hedgesMax + writeHedgesMax + fetchesMax + accumulators + 1;
const arenaBytes = frames * PAGE_BYTES + limits.receiveBytesMax + nbdBytes + peerBytes + 3 * PAGE_BYTES;

/** Bytes of a client's buffers, whatever the size of its device. */
export const clientBufferBytes = arenaBytes + limits.carryBlocksPrepared * limits.receiveBytesMax;

export interface ClientDataPlaneOptions {
  name: string;
  /** 16 random bytes: whose pages these are. */
  identity: Uint8Array;
  /** 32 fresh random bytes. */
  nonce: () => Uint8Array;
  seed: number;
  sizeBytes: number;
  exportName: string;
  prover: Prover | undefined;
  redundancy: RedundancyName;
  /** Most data pages in a parity group. */
  groupSize: number;
  /** A connection ended by an error of our own. */
  failed: (error: Error) => void;
  notice: Notice;
}

/**
 * The client's path of a page, put together: arena, core, NBD front, sockets.
 *
 *     arena: | page frames, accumulators | receive region | answers to NBD clients | queues to memory servers |
 */
export class ClientDataPlane {
  readonly core: ClientCore;
  readonly front: NbdFront;
  readonly dialer: ServerDialer<ServerLink>;
  readonly #listeners: NbdListener[] = [];
  readonly #listenerOptions: NbdListenerOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #arena: Arena;
  readonly #carryPool: HeapBlockPool;
  /** Regions of the arena; of each, what is used first comes first. */
  readonly #regions: { start: number; bytes: number }[];

  constructor(options: ClientDataPlaneOptions) {
    const nowMs = (): number => performance.now();
    const arena = new Arena(arenaBytes);
    this.#arena = arena;
    const own: Hello = {
      role: Role.CLIENT,
      keyed: options.prover !== undefined,
      identity: options.identity,
      nonce: options.nonce(),
      epoch: 0,
      pagesPerFrame: PAGES_PER_FRAME_MAX,
      name: options.name,
    };
    const { notice, failed, prover } = options;
    this.core = new ClientCore({
      arena,
      slots: options.sizeBytes / PAGE_BYTES,
      redundancy: options.redundancy,
      groupSize: options.groupSize,
      prng: new Prng(options.seed),
      own: () => ({ ...own, nonce: options.nonce() }),
      prover,
      port: { linkClosed: (link) => this.dialer.linkClosed(link), notice },
    });
    const flusher = new TurnFlusher({
      beforeFlush: (isTurnEnd) => {
        if (isTurnEnd) this.front.flush();
        this.core.flush(nowMs());
      },
      busyPollUs: availableParallelism() > 1 ? limits.busyPollUs : 0,
      mayPoll: () => this.core.frames.used <= limits.busyPollFramesMax && !this.core.redundancy.isBusy,
    });
    this.front = new NbdFront({
      arena,
      core: this.core,
      exportName: options.exportName,
      sizeBytes: options.sizeBytes,
      // Pages do not straddle blocks.
      answerBytesMax: limits.nbdBlocks * (limits.nbdBlockBytes - PAGE_BYTES),
      wake: () => flusher.wake(),
      notice,
    });
    const { bytes, view } = arena;
    const region = receiveRegionIn(bytes, arena.allocate(limits.receiveBytesMax));
    const nbdStart = arena.allocate(nbdBytes);
    const peerStart = arena.allocate(peerBytes);
    const carryPool = new HeapBlockPool(
      limits.nbdConnectionsMax + limits.memoryServersMax,
      limits.receiveBytesMax,
    );
    this.#carryPool = carryPool;
    this.#regions = [
      { start: region.start, bytes: limits.receiveBytesMax },
      ...this.core.frames.regions,
      { start: nbdStart, bytes: nbdBytes },
      { start: peerStart, bytes: peerBytes },
    ];
    const nbdPool = new ArenaBlockPool({
      bytes,
      view,
      start: nbdStart,
      count: limits.nbdBlocks,
      blockBytes: limits.nbdBlockBytes,
    });
    const peerPool = new ArenaBlockPool({
      bytes,
      view,
      start: peerStart,
      count: limits.peerBlocks,
      blockBytes: limits.peerBlockBytes,
    });
    const shared = { core: this.core, region, carryPool, flusher, nowMs, notice, failed };
    this.dialer = new ServerDialer({ ...shared, sendPool: peerPool, sent: this.core.counters.sent });
    this.#listenerOptions = { ...shared, front: this.front, sendPool: nbdPool };
    this.#timer = setInterval(() => {
      this.core.tick(nowMs());
      this.front.tick(nowMs());
      flusher.wake();
    }, limits.tickMs);
  }

  /**
   * The memory that pages will need, to be written to before they do: all tables, and of the buffers about
   * `bufferBytes`, those used first.
   */
  memory(bufferBytes: number): Uint8Array[] {
    const share = Math.min(1, bufferBytes / clientBufferBytes);
    const arena = this.#regions.map(({ start, bytes }) =>
      this.#arena.bytes.subarray(start, start + Math.ceil(bytes * share)),
    );
    const carry = this.#carryPool.prepare(Math.ceil(limits.carryBlocksPrepared * share));
    const { slots, redundancy } = this.core;
    const groups = redundancy.groups?.memory(limits.groupBytesPerSlot) ?? [];
    return [...slots.memory, ...groups, ...arena, ...carry];
  }

  /** Serves NBD on one more address; returns it as listened on. */
  async listen(address: NbdAddress): Promise<NbdListener> {
    const listener = await NbdListener.start(address, this.#listenerOptions);
    this.#listeners.push(listener);
    return listener;
  }

  /** Ends at once. */
  close(): void {
    clearInterval(this.#timer);
    for (const listener of this.#listeners) listener.close();
    this.dialer.stop();
  }

  /** Lets no new NBD client in. */
  stopAccepting(): void {
    for (const listener of this.#listeners) listener.stopAccepting();
  }

  /** Tells the servers that the client's pages can go, and ends when they were told. */
  async leave(): Promise<void> {
    this.core.goodbye();
    await this.dialer.finish();
    this.close();
  }
}
