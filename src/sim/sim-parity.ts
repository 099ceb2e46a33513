import { Arena } from "../base/arena.ts";
import { ArenaBlockPool } from "../base/blocks.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { ParityServerCore } from "../parity/parity-server.ts";
import type { Network } from "./network.ts";
import { Process } from "./process.ts";
import { SimDataPort } from "./sim-data-port.ts";
import { SimFlusher } from "./sim-flusher.ts";
import { SimLinks } from "./sim-links.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimNodes } from "./sim-nodes.ts";
import { coreOptions, type SimServerOptions } from "./sim-server.ts";
import type { End } from "./wire.ts";

export interface SimParityOptions extends SimServerOptions {
  network: Network;
  nodes: SimNodes;
  /** Pages on their way between servers. */
  workFrames: number;
  /** Frames kept for COMPOSE; 0: as many as a parity server keeps by itself. */
  composeFrames: number;
  scrubPerTick: number;
  linksMax: number;
  linkBlocks: number;
  linkBlockBytes: number;
}

/** One life of a simulated parity server: the core, its data port, and its links to memory servers. */
export class SimParity implements SimNode {
  readonly role = "parity";
  readonly address: string;
  readonly process: Process;
  readonly core: ParityServerCore;
  readonly identity: string;
  readonly options: SimParityOptions;
  readonly linkPool: ArenaBlockPool;
  readonly links: SimLinks;
  readonly #port: SimDataPort;

  constructor(options: SimParityOptions) {
    const { queue, prng, readBytes, linkBlocks, linkBlockBytes } = options;
    this.options = options;
    this.address = options.address;
    this.process = new Process(queue, options.turnMs);
    const flusher = new SimFlusher(this.process, prng, () => this.core.flush());
    this.#port = new SimDataPort({
      ...{ process: this.process, flusher, readBytes, blocks: options.blocks.max },
      connect: (out, onClosed) => this.core.connect(out, onClosed),
    });
    const arena = new Arena((options.workFrames + 4) * PAGE_BYTES + readBytes + linkBlocks * linkBlockBytes);
    const { bytes, view } = arena;
    const own = coreOptions(options, this.#port);
    this.identity = toHex(own.identity);
    this.core = new ParityServerCore({
      ...own,
      arena,
      workFrames: options.workFrames,
      ...(options.composeFrames > 0 ? { composeFrames: options.composeFrames } : {}),
      scrubPerTick: options.scrubPerTick,
      linksMax: options.linksMax,
      port: {
        wanted: (client, server) => this.links.wanted(client, server),
        linkClosed: (link) => this.links.linkClosed(link),
      },
    });
    const start = arena.allocate(readBytes);
    const region = { bytes, start, window: bytes.subarray(start, start + readBytes) };
    this.linkPool = new ArenaBlockPool({
      ...{ bytes, view, start: arena.allocate(linkBlocks * linkBlockBytes) },
      ...{ count: linkBlocks, blockBytes: linkBlockBytes },
    });
    this.links = new SimLinks({
      ...{ core: this.core, process: this.process, network: options.network, nodes: options.nodes },
      ...{ host: options.address, region, sendPool: this.linkPool, flusher },
    });
    this.process.every(limits.tickMs, () => {
      this.core.tick(this.process.nowMs);
      flusher.wake();
    });
  }

  get isAtWork(): boolean {
    return this.core.jobsRunning > 0;
  }

  get queuedBlocks(): number {
    return this.#port.pool.taken + this.linkPool.taken;
  }

  get carriedBlocks(): number {
    return this.#port.carryPool.taken + this.links.carryPool.taken;
  }

  get faultsFound(): Record<string, number> {
    const { counters, jobs } = this.core.snapshot();
    return { "broken protocols": counters.protocolErrors, "jobs waiting": jobs.waiting };
  }

  get wrongFound(): Record<string, number> {
    const { parity, scrub } = this.core.snapshot();
    return {
      "pages made that are not what they should be": parity.wrong,
      "groups found wrong by its scrub": scrub.mismatches,
    };
  }

  /** Ends of connections that were made to it: those that it made itself are among their servers' ends. */
  get ends(): End[] {
    return this.#port.ends;
  }

  accept(end: End): void {
    this.#port.accept(end);
  }

  crash(silently: boolean): void {
    this.process.alive = false;
    this.#port.crash(silently);
    this.links.crash(silently);
  }
}
