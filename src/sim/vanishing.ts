import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Network } from "./network.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimNode } from "./sim-node.ts";
import { type HeldPage, pagesOf } from "./sim-nodes.ts";
import type { SimOptions } from "./sim-options.ts";
import type { Trace } from "./trace.ts";

export interface VanishingOptions {
  queue: EventQueue;
  prng: Prng;
  trace: Trace;
  options: SimOptions;
  network: Network;
  clients: readonly SimClient[];
  nodes: () => SimNode[];
  /** True if a server may lose pages now. */
  mayLose: () => boolean;
  /** The server has these pages of the client no more. */
  vanished: (node: SimNode, client: SimClient, pages: readonly HeldPage[]) => void;
}

const PAGES_MAX = 4;
/** So long after a server dropped pages its client asks it for a list, at the latest. */
const NOTICED_MS = 6_000;

/**
 * Pages that vanish from servers that stand: those of a client that was cut off from its server for the grace time,
 * and a few that a server just does not have any more. What nobody reads is missed when the server is linked again.
 */
export class Vanishing {
  readonly #options: VanishingOptions;
  /** Times at which pages vanished. */
  count = 0;

  constructor(options: VanishingOptions) {
    this.#options = options;
    if (options.options.vanishEveryMs < Number.POSITIVE_INFINITY) this.#later();
  }

  get #isOver(): boolean {
    return this.#options.queue.nowMs >= this.#options.options.chaosMs;
  }

  #later(): void {
    const { queue, prng, options } = this.#options;
    queue.after(prng.below(2 * options.vanishEveryMs), () => {
      if (this.#isOver) return;
      this.#strike();
      this.#later();
    });
  }

  #strike(): void {
    const { prng, clients, nodes, options } = this.#options;
    const living = nodes();
    const node = living[prng.below(living.length)];
    const client = clients[prng.below(clients.length)]!;
    if (node === undefined) return;
    if (prng.chance(options.cutOffShare)) this.#cutOff(node, client);
    else this.#drop(node, client);
  }

  /** A server frees what a client has there once it may; the client is told nothing. */
  watch(node: SimNode): void {
    const { clients } = node.core;
    const leave = clients.leave.bind(clients);
    clients.leave = (record) => {
      const client = this.#options.clients.find(({ identity }) => identity === record.identity)!;
      if (this.#isOver || !this.#options.mayLose()) return;
      const pages = pagesOf(node, client.identity);
      this.#options.trace.event(`${node.address} frees ${pages.length} pages of ${client.host}`);
      leave(record);
      this.#gone(node, client, pages);
    };
  }

  #gone(node: SimNode, client: SimClient, pages: readonly HeldPage[]): void {
    if (pages.length === 0) return;
    this.count += 1;
    this.#options.vanished(node, client, pages);
  }

  /** For about the grace time, mostly longer. */
  #cutOff(node: SimNode, client: SimClient): void {
    const { queue, prng, trace, network, options } = this.#options;
    const ms = options.clientGraceMs * (0.8 + prng.below(150) / 100);
    const untilMs = Math.min(queue.nowMs + ms, options.chaosMs);
    trace.event(`fault: ${client.host} is cut off from ${node.address} until ${Math.round(untilMs)}`);
    const path = network.path(client.host, node.address);
    path.refusesUntilMs = Math.max(path.refusesUntilMs, untilMs);
    this.#disconnect(node, client);
  }

  #disconnect(node: SimNode, client: SimClient): void {
    const { network, prng } = this.#options;
    const path = network.path(client.host, node.address);
    for (const end of node.ends) {
      if (end.path !== path) continue;
      end.process.after(0, () => end.break());
      if (prng.chance(0.3)) continue;
      end.other.process.after(prng.below(prng.chance(0.5) ? 5 : 1_000), () => end.other.break());
    }
  }

  #drop(node: SimNode, client: SimClient): void {
    const { queue, prng, trace, options } = this.#options;
    if (!this.#options.mayLose()) return;
    const held = pagesOf(node, client.identity);
    if (held.length === 0) return;
    const from = prng.below(held.length);
    const pages = held.slice(from, from + 1 + prng.below(PAGES_MAX));
    for (const { frame } of pages) node.core.store.drop(frame);
    trace.event(`fault: ${node.address} drops pages ${pages.map(({ pageId }) => pageId)} of ${client.host}`);
    this.#gone(node, client, pages);
    const noticedMs = Math.min(queue.nowMs + prng.below(NOTICED_MS), options.chaosMs);
    queue.at(noticedMs, () => this.#disconnect(node, client));
  }
}
