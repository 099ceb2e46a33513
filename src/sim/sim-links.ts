import { type ArenaBlockPool, HeapBlockPool } from "../base/blocks.ts";
import { NswapError } from "../base/errors.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { ServerLink } from "../client/server-link.ts";
import type { ParityServerCore } from "../parity/parity-server.ts";
import type { Network } from "./network.ts";
import type { Process } from "./process.ts";
import type { SimFlusher } from "./sim-flusher.ts";
import type { SimNodes } from "./sim-nodes.ts";
import { type SimRegion, SimSocket } from "./sim-socket.ts";
import type { End } from "./wire.ts";

export interface SimLinksOptions {
  core: ParityServerCore;
  process: Process;
  network: Network;
  nodes: SimNodes;
  /** Host name that connections come from. */
  host: string;
  /** Lies in the core's arena, as the pool does. */
  region: SimRegion;
  sendPool: ArenaBlockPool;
  flusher: SimFlusher;
}

/** Makes the links to memory servers that a parity server wants, with the same rules as the production node. */
export class SimLinks {
  readonly carryPool: HeapBlockPool;
  readonly #options: SimLinksOptions;
  readonly #sockets = new Map<ServerLink, { socket: SimSocket; end: End }>();

  constructor(options: SimLinksOptions) {
    this.#options = options;
    this.carryPool = new HeapBlockPool(256, options.region.window.length);
  }

  wanted(client: string, server: string): void {
    const { core, process, network, nodes, host, region, sendPool, flusher } = this.#options;
    const address = nodes.addressKnown(server, process.nowMs);
    if (address === undefined) return this.#unreachable(client, server);
    const out = new OutQueue(sendPool, () => socket.markDirty());
    const socket: SimSocket = new SimSocket(
      out,
      {
        receive: (bytes, start, end) => {
          const taken = link.receive(bytes, start, end, process.nowMs);
          if (link.closed !== undefined) socket.finish();
          return taken;
        },
        drained: () => flusher.wake(),
        ended: () => {
          this.#sockets.delete(link);
          core.linkEnded(link);
          flusher.wake();
        },
      },
      { process, region, carryPool: this.carryPool, flusher },
    );
    let link: ServerLink;
    try {
      link = core.openLink(client, server, out, process.nowMs);
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      return this.#unreachable(client, server);
    }
    const end = network.connect(process, host, address);
    this.#sockets.set(link, { socket, end });
    socket.attach(end);
  }

  #unreachable(client: string, server: string): void {
    this.#options.core.unreachable(client, server);
    this.#options.flusher.wake();
  }

  linkClosed(link: ServerLink): void {
    this.#sockets.get(link)?.socket.destroy();
  }

  /** The process dies; `silently`: no peer is told. */
  crash(silently: boolean): void {
    for (const { end } of this.#sockets.values()) end.die(silently);
  }
}
