import type { ControlTiming } from "../../base/control-limits.ts";
import { controlLimits } from "../../base/control-limits.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../../base/host-port.ts";
import type { Log } from "../../base/log.ts";
import type { Prng } from "../../base/prng.ts";
import type { NodeRecord } from "../../membership/node-record.ts";
import type { PeerTable } from "../../membership/peer-table.ts";
import type { ClusterKey } from "../cluster-key.ts";
import { ControlClient } from "./control-client.ts";
import { ControlError } from "./control-error.ts";

/** Peers a node exchanges tables with at each heartbeat, seeds that are not seen yet aside. */
const peersPerBeat = 3;
const farewellsMax = 8;

export interface GossiperOptions {
  readonly table: PeerTable;
  readonly seeds: readonly HostPort[];
  readonly key: ClusterKey | null;
  readonly prng: Prng;
  readonly timing: ControlTiming;
  readonly log: Log;
}

/** What is known of one control address. */
interface Link {
  readonly address: HostPort;
  client: ControlClient | null;
  busy: boolean;
  failures: number;
  retryAtMs: number;
  usedAtMs: number;
}

interface Seed {
  readonly address: HostPort;
  /** Who answered there; null until somebody did other than this node. */
  identity: string | null;
}

/**
 * Carries the peer table to others: at each heartbeat to a few random peers and to every seed that is not in the
 * table (again). One connection an address, kept while it is used; failures back off and never end.
 */
export class Gossiper {
  readonly #options: GossiperOptions;
  readonly #links = new Map<string, Link>();
  readonly #seeds: Seed[];
  #closed = false;

  constructor(options: GossiperOptions) {
    this.#options = options;
    this.#seeds = options.seeds.map((address) => ({ address, identity: null }));
  }

  /** One heartbeat's worth of exchanges; returns before they are done. */
  beat(nowMs: number): void {
    const { table } = this.#options;
    for (const seed of this.#seeds) {
      if (seed.identity !== null && table.isPresent(seed.identity)) continue;
      seed.identity = null;
      void this.#exchange(seed.address, nowMs, seed);
    }
    for (const record of table.gossipTargets(peersPerBeat)) {
      const sought = table.isForgotten(record.identity) ? record : null;
      void this.#exchange(parseHostPort(record.control), nowMs, null, sought);
    }
    this.#closeUnused(nowMs);
  }

  /** Tells some peers the present table once more, for a node that leaves; waits for them within `leaveMs`. */
  async farewell(): Promise<void> {
    const { table, timing } = this.#options;
    const targets = table.farewellTargets(farewellsMax);
    const told = targets.map((record) =>
      this.#exchange(parseHostPort(record.control), Number.POSITIVE_INFINITY, null),
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, timing.leaveMs);
    });
    await Promise.race([Promise.all(told), late]);
    clearTimeout(timer);
  }

  /** This node's address is another: what was connected from the old one may be dead without a sign. */
  reconnect(): void {
    for (const link of this.#links.values()) link.client?.close();
    this.#links.clear();
  }

  close(): void {
    this.#closed = true;
    this.reconnect();
  }

  /**
   * Never rejects.
   * @param nowMs Infinity to disregard backoff and exchanges under way
   * @param sought whose table alone is wanted there
   */
  async #exchange(
    address: HostPort,
    nowMs: number,
    seed: Seed | null,
    sought: NodeRecord | null = null,
  ): Promise<void> {
    const link = this.#linkTo(address);
    if (this.#closed || link === null || nowMs < link.retryAtMs) return;
    if (link.busy && nowMs !== Number.POSITIVE_INFINITY) return;
    link.busy = true;
    link.usedAtMs = performance.now();
    try {
      const client = await this.#connected(link);
      const { table } = this.#options;
      if (sought !== null && !table.isStatusOf(sought, await client.status())) return this.#metStranger(link);
      const reply = await client.gossip(table.self.identity, table.toGossip());
      if (this.#closed) return;
      link.failures = 0;
      link.retryAtMs = 0;
      if (reply.from === table.self.identity) this.#metSelf(link);
      else this.#take(reply, address, seed);
    } catch (error) {
      link.client?.close();
      link.client = null;
      if (!this.#closed) this.#failed(link, error, seed);
    } finally {
      link.busy = false;
    }
  }

  async #connected(link: Link): Promise<ControlClient> {
    if (link.client?.isOpen) return link.client;
    const { key, timing } = this.#options;
    const client = await ControlClient.connect(link.address, { key, purpose: "peer", timing });
    if (this.#closed || this.#links.get(formatHostPort(link.address)) !== link) {
      client.close();
      throw new ControlError("CLOSED", "this connection is not wanted any more");
    }
    link.client = client;
    return client;
  }

  #take(reply: { from: string; nodes: unknown }, address: HostPort, seed: Seed | null): void {
    const { table, log } = this.#options;
    const merged = table.merge(reply.nodes, performance.now());
    if (merged.problem !== null) {
      log.warn("records of a peer's table refused", {
        peer: formatHostPort(address),
        count: merged.refused,
        problem: merged.problem,
      });
    }
    if (seed === null || seed.identity !== null) return;
    seed.identity = reply.from;
    log.info("peer found", { peer: formatHostPort(address) });
  }

  /** A name may stand for several nodes, and an address change hands: whom it leads to is looked at now and then. */
  #metSelf(link: Link): void {
    link.client?.close();
    link.client = null;
    link.retryAtMs = performance.now() + this.#options.timing.backoffMsMax;
  }

  /** A forgotten node's address may be another cluster's by now: without a key the two would become one. */
  #metStranger(link: Link): void {
    link.client?.close();
    link.client = null;
    this.#options.table.strangerAt(formatHostPort(link.address));
  }

  #failed(link: Link, error: unknown, seed: Seed | null): void {
    const { table, timing, prng, log } = this.#options;
    const backoffMs = Math.min(timing.heartbeatMs * 2 ** Math.min(link.failures, 10), timing.backoffMsMax);
    link.retryAtMs = performance.now() + backoffMs * (0.5 + prng.below(1000) / 1000);
    link.failures++;
    const fields = {
      peer: formatHostPort(link.address),
      reason: error instanceof Error ? error.message : String(error),
      code: error instanceof ControlError ? error.code : undefined,
    };
    if (error instanceof ControlError && !error.retry) {
      log.error("a peer cannot be spoken with", fields);
      table.strangerAt(fields.peer);
    } else if (seed !== null) {
      log.warn("peer is not there yet; it will be tried again until it is", fields);
    } else {
      log.debug("exchange with a peer failed", fields);
    }
  }

  #linkTo(address: HostPort): Link | null {
    const key = formatHostPort(address);
    const known = this.#links.get(key);
    if (known) return known;
    if (this.#links.size >= controlLimits.linksMax) return null;
    const link: Link = {
      address,
      client: null,
      busy: false,
      failures: 0,
      retryAtMs: 0,
      usedAtMs: performance.now(),
    };
    this.#links.set(key, link);
    return link;
  }

  #closeUnused(nowMs: number): void {
    for (const [key, link] of this.#links) {
      if (link.busy || nowMs - link.usedAtMs < this.#options.timing.idleMs * 2) continue;
      link.client?.close();
      this.#links.delete(key);
    }
  }
}
