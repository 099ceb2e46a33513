import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import { type GroupView, visitGroups } from "./group-view.ts";
import type { Network } from "./network.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimNodes } from "./sim-nodes.ts";
import type { Trace } from "./trace.ts";

export interface SeveringOptions {
  queue: EventQueue;
  prng: Prng;
  trace: Trace;
  network: Network;
  nodes: SimNodes;
  /** Mean time between two partitions. */
  everyMs: number;
  /** No new one after that but the last … */
  chaosMs: number;
  /** … and none of these lasts longer than until then. */
  untilMs: number;
}

/** Addresses of those that have room for whatever may come. */
export interface Room {
  readonly parity: string;
  readonly servers: readonly string[];
}

/** A parity server and a memory server, by their addresses. */
interface Pair {
  readonly parity: string;
  readonly server: string;
  untilMs: number;
}

/** One lasts so long at most. */
const LASTS_MS = [3_000, 20_000, 120_000];
/** Pairs of the last partition. */
const LAST_PAIRS_MAX = 3;

/**
 * Partial partitions: a parity server and a memory server do not reach each other, while clients reach both. Some are
 * a network that says nothing, others a firewall that refuses connections. They end by themselves, but for the last:
 * when all else is whole, what can be protected without those pairs has to be while it lasts.
 */
export class Severing {
  readonly #options: SeveringOptions;
  readonly #pairs: Pair[] = [];
  count = 0;

  constructor(options: SeveringOptions) {
    this.#options = options;
    if (options.everyMs < Number.POSITIVE_INFINITY) this.#later();
  }

  #later(): void {
    const { queue, prng, everyMs, chaosMs } = this.#options;
    queue.after(prng.below(2 * everyMs), () => {
      if (queue.nowMs >= chaosMs) return;
      const ms = 500 + prng.below(LASTS_MS[prng.below(LASTS_MS.length)]!);
      this.#sever(this.#of("parity"), Math.min(queue.nowMs + ms, this.#options.untilMs));
      this.#later();
    });
  }

  /** When all else is whole: some more pairs of one parity server, mostly that which was started last. */
  last(untilMs: number): void {
    const { prng, nodes } = this.#options;
    const parity = nodes.living.filter(({ role }) => role === "parity");
    const one = prng.chance(0.7) ? parity[parity.length - 1] : parity[prng.below(parity.length)];
    const count = 1 + prng.below(LAST_PAIRS_MAX);
    for (let i = 0; i < count; i += 1) this.#sever(one, untilMs);
  }

  #of(role: SimNode["role"]): SimNode | undefined {
    const all = this.#options.nodes.living.filter((node) => node.role === role);
    return all[this.#options.prng.below(all.length)];
  }

  #sever(parity: SimNode | undefined, untilMs: number): void {
    const { prng, trace, network } = this.#options;
    const server = this.#of("server");
    if (parity === undefined || server === undefined) return;
    const until = Math.round(untilMs);
    trace.event(`fault: ${parity.address} and ${server.address} do not reach each other until ${until}`);
    this.count += 1;
    this.#pairs.push({ parity: parity.address, server: server.address, untilMs });
    const path = network.path(parity.address, server.address);
    if (prng.chance(0.5)) {
      path.clog(0, untilMs);
      path.clog(1, untilMs);
      return;
    }
    path.refusesUntilMs = Math.max(path.refusesUntilMs, untilMs);
    for (const end of server.ends) {
      if (end.path !== path) continue;
      end.process.after(0, () => end.break());
      end.other.process.after(prng.below(1_000), () => end.other.break());
    }
  }

  /** True while this parity server does not reach that memory server. */
  #isSevered(parity: string | undefined, server: string | undefined): boolean {
    const { nowMs } = this.#options.queue;
    return this.#pairs.some(
      (pair) => pair.untilMs > nowMs && pair.parity === parity && pair.server === server,
    );
  }

  /**
   * Live pages of the client that are not protected, although no pair that is severed is needed for that, where a
   * parity server has room for the parity of all, and memory servers have for all pages.
   */
  unprotected(client: SimClient, room: Room): number {
    let pages = 0;
    visitGroups(client, (group) => {
      if (group.state === "open" || group.state === "closing") return;
      const live = group.members.filter((member) => member.live);
      const gone = group.members.filter(({ holder }) => !this.#options.nodes.lives(holder));
      const hasParity = group.state === "protected" && this.#options.nodes.lives(group.holder);
      if (hasParity && gone.length === 0) return;
      if (hasParity && gone.some((member) => member.live)) {
        if (this.#mayRebuild(group, room)) pages += live.length;
      } else
        pages += live.filter(({ holder }) => !this.#isSevered(room.parity, this.#addressOf(holder))).length;
    });
    return pages;
  }

  #addressOf(identity: string | undefined): string | undefined {
    return this.#options.nodes.byIdentity(identity)?.address;
  }

  /** The group's parity server reaches the other members' servers, and one where there is room. */
  #mayRebuild({ holder, members }: GroupView, { servers }: Room): boolean {
    const parity = this.#addressOf(holder);
    const reaches = (server: string | undefined): boolean => !this.#isSevered(parity, server);
    return members.every((member) => reaches(this.#addressOf(member.holder))) && servers.some(reaches);
  }
}
