import type { Prover } from "../../proto/peer/index.ts";
import { limits } from "../base/limits.ts";
import { type LogFields, messageText } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { Prng } from "../base/prng.ts";
import { clientLimits } from "../client/client-limits.ts";
import { GIVEN_UP } from "../redundancy/last-resort.ts";
import { checkHeld, checkQuiet, checkServer, nothingQueued } from "./checkers.ts";
import { EventQueue } from "./event-queue.ts";
import { Faults, type Victims } from "./faults.ts";
import { checkGroups } from "./group-checkers.ts";
import { unprotectedPages } from "./group-view.ts";
import { Lending } from "./lending.ts";
import { Losses } from "./losses.ts";
import { Network } from "./network.ts";
import { Severing } from "./severing.ts";
import { SimClient } from "./sim-client.ts";
import type { SimNode } from "./sim-node.ts";
import { SimNodes } from "./sim-nodes.ts";
import { drawOptions, type SimOptions } from "./sim-options.ts";
import { SimParity } from "./sim-parity.ts";
import { simProver } from "./sim-prover.ts";
import { SimServer, type SimServerOptions } from "./sim-server.ts";
import { SimUser, SLOWLY_MS } from "./sim-user.ts";
import { Trace } from "./trace.ts";
import { Vanishing } from "./vanishing.ts";
import { Violation } from "./violation.ts";

/** After everything is whole: all requests are answered within this time, */
const ANSWERED_MS = 90_000;
/** then a reading of every device is, */
const READ_MS = 60_000;
/** and what dead connections held is given back by then. */
const QUIET_MS = 100_000;
/** Some moment within this time finds nobody sending anything. */
const PAUSE_MS = 3_000;
/** Every page is protected again so long after everything was whole. */
const PROTECTED_MS = 60_000;
/** When all else is whole parity servers and memory servers may still not reach each other, for so long: by then … */
const SEVERED_MS = 65_000;
/** … what does not need that is protected. */
const PROTECTED_SEVERED_MS = 60_000;
/** Before that, one more server may die by then. */
const CALM_MS = 10_000;
/** A server that leaves is known to have left after so long. */
const GOSSIP_MS = 3_000;
const LOOK_MS = 50;
const LOOK_LATE_MS = 2;
const BLOCK_BYTES = 16_384;
const SPARES = ["spare", "spare1"];
const SPARE_PARITY = "spareparity";

/** A server's machine has two addresses. */
const otherOf = (address: string): string => (address.endsWith("'") ? address.slice(0, -1) : `${address}'`);

/** Defects planted by tests, to see that the checkers find them. */
export interface Hooks {
  client?(client: SimClient): void;
  server?(server: SimServer): void;
  parity?(server: SimParity): void;
}

export interface SimResult {
  options: SimOptions;
  /** What was violated, if anything. */
  violation: Violation | undefined;
  traceHash: number;
  simulatedMs: number;
  events: number;
  requests: number;
  answers: number;
  faults: number;
  /** Reads that failed since their pages were lost with a server. */
  lostReads: number;
  /** Pages that went bad in the memory of a server. */
  rotten: number;
  /** Times at which pages vanished from a server that stood. */
  vanished: number;
}

/** One run: a cluster, its users and its misfortunes, all of it from one seed. */
export class Simulation implements Victims {
  readonly options: SimOptions;
  readonly clients: SimClient[] = [];
  readonly #queue = new EventQueue();
  readonly #trace: Trace;
  readonly #prng: Prng;
  readonly #network: Network;
  readonly #prover: Prover | undefined;
  readonly #nodes: SimNodes;
  readonly #users: SimUser[] = [];
  readonly #losses: Losses;
  readonly #faults: Faults;
  readonly #lending: Lending;
  readonly #vanishing: Vanishing;
  readonly #severing: Severing;
  readonly #hooks: Hooks;
  readonly #moving: Prng;
  #lives = 0;

  constructor(options: SimOptions, hooks: Hooks = {}, print?: (line: string) => void) {
    this.options = options;
    this.#hooks = hooks;
    this.#trace = new Trace(this.#queue, print);
    this.#prng = new Prng(options.seed + 1_000_003);
    this.#network = new Network(this.#queue, this.#prng.next(), options);
    this.#prover = options.keyed ? simProver : undefined;
    this.#nodes = new SimNodes(new Prng(options.seed + 2_000_003));
    this.#moving = new Prng(options.seed + 9_000_003);
    this.#vanishing = new Vanishing({
      ...{ queue: this.#queue, prng: new Prng(options.seed + 6_000_003), trace: this.#trace, options },
      ...{ network: this.#network, clients: this.clients, nodes: () => this.nodes() },
      mayLose: () => this.mayKill(),
      vanished: (node, client, pages) => this.#losses.vanished(node, client, pages, this.#queue.nowMs),
    });
    this.#severing = new Severing({
      ...{ queue: this.#queue, prng: new Prng(options.seed + 7_000_003), trace: this.#trace },
      ...{ network: this.#network, nodes: this.#nodes, everyMs: options.severEveryMs },
      ...{ chaosMs: options.chaosMs, untilMs: options.chaosMs + CALM_MS },
    });
    const servers = Array.from({ length: options.servers }, (_, i) => `server${i}`);
    const parity = Array.from({ length: options.parityServers }, (_, i) => `parity${i}`);
    for (const address of servers) this.#startServer(address, this.#capacity());
    for (const address of parity) this.#startParity(address, this.#parityCapacity());
    const addresses = {
      servers: [...servers, ...this.#others(servers), ...SPARES],
      parity: parity.length > 0 ? [...parity, ...this.#others(parity), SPARE_PARITY] : [],
    };
    for (let i = 0; i < options.clients; i += 1) this.#startClient(`client${i}`, addresses);
    this.#losses = new Losses(options, this.#nodes, this.#users, this.#trace);
    const prng = new Prng(this.#prng.next());
    this.#faults = new Faults(this.#queue, prng, options, this.#network, this, this.#trace);
    this.#lending = new Lending({
      ...{ queue: this.#queue, prng: new Prng(options.seed + 5_000_003), trace: this.#trace },
      ...{ nodes: () => this.nodes(), everyMs: options.lendEveryMs, untilMs: options.chaosMs },
    });
    this.#queue.after(this.#prng.below(1000), () => this.#checkBooks());
    if (options.redundancy !== "none") this.#lookForLosses();
    if (options.rotEveryMs < Number.POSITIVE_INFINITY) this.#rot(new Prng(options.seed + 3_000_003));
  }

  #capacity(): number {
    const { slots, clients, servers, capacityShare } = this.options;
    const fair = (slots * clients * capacityShare) / servers;
    return Math.max(1, Math.floor(fair * (0.3 + this.#prng.below(140) / 100)));
  }

  #parityCapacity(): number {
    const { slots, clients, parityServers, parityShare } = this.options;
    const fair = (slots * clients * parityShare) / parityServers;
    return Math.max(1, Math.floor(fair * (0.3 + this.#prng.below(140) / 100)));
  }

  /** What servers of both kinds are given. */
  #serverOptions(address: string, capacityFrames: number): SimServerOptions {
    const { options } = this;
    const life = this.#lives;
    this.#lives += 1;
    this.#trace.event(`${address} starts with ${capacityFrames} frames`);
    return {
      queue: this.#queue,
      prng: new Prng(this.#prng.next()),
      address,
      life,
      capacityFrames,
      turnMs: 0.2,
      readBytes: options.readBytes,
      queueBytesSoft: options.serverQueueBytesSoft,
      listScanFrames: options.listScanFrames,
      clientGraceMs: options.clientGraceMs,
      reapFramesPerTick: options.reapFramesPerTick,
      blocks: { soft: Math.ceil(options.serverBlocks / 2), max: options.serverBlocks },
      prover: this.#prover,
    };
  }

  #startServer(address: string, capacityFrames: number): void {
    const server = new SimServer(this.#serverOptions(address, capacityFrames));
    this.#nodes.add(server);
    this.#network.set(address, server);
    this.#hooks.server?.(server);
    this.#vanishing.watch(server);
  }

  #startParity(address: string, capacityFrames: number): void {
    const { options } = this;
    const parity = new SimParity({
      ...this.#serverOptions(address, capacityFrames),
      ...{ network: this.#network, nodes: this.#nodes, workFrames: options.parityWorkFrames },
      scrubPerTick: options.scrubPerTick,
      composeFrames: Math.floor(capacityFrames * options.composeShare),
      linksMax: Math.min(limits.parityLinksMax, options.servers + SPARES.length + options.parityLinksMore),
      ...{ linkBlocks: options.peerBlocks, linkBlockBytes: BLOCK_BYTES },
    });
    this.#nodes.add(parity);
    this.#network.set(address, parity);
    this.#hooks.parity?.(parity);
    this.#vanishing.watch(parity);
  }

  #startClient(host: string, addresses: { servers: string[]; parity: string[] }): void {
    const { options } = this;
    const client = new SimClient({
      queue: this.#queue,
      prng: new Prng(this.#prng.next()),
      network: this.#network,
      host,
      servers: addresses.servers,
      parity: addresses.parity,
      redundancy: options.redundancy,
      groupSize: options.groupSize,
      slots: options.slots,
      turnMs: 0.2,
      readBytes: options.readBytes,
      limits: {
        ...clientLimits,
        clientFrames: options.clientFrames,
        clientFramesSoft: options.clientFramesSoft,
        accumulators: options.accumulators,
        operationsMax: options.operationsMax,
        lostAfterMs: options.lostAfterMs,
        recoveryPagesPerSecond: options.recoveryPagesPerSecond,
        peerQueueBytesSoft: options.peerQueueBytesSoft,
        nbdBlockBytes: BLOCK_BYTES,
        nbdRequestBytesMax: options.pagesPerRequestMax * PAGE_BYTES,
        zeroSlotsPerTurn: options.zeroSlotsPerTurn,
        zeroSlotsMin: 1,
        zeroSlotsAtATime: options.zeroSlotsAtATime,
        nbdInputAnswerBytes: 4_096,
      },
      nbdBlocks: options.nbdBlocks,
      peerBlocks: options.peerBlocks,
      peerBlockBytes: BLOCK_BYTES,
      prover: this.#prover,
      isHeard: (address) => this.#nodes.isHeard(address, this.#queue.nowMs),
      notice: (message, fields) => this.#noticed(host, message, fields),
    });
    this.clients.push(client);
    this.#network.set(host, client);
    this.#hooks.client?.(client);
    const prng = new Prng(this.#prng.next());
    const onHeld = (user: SimUser, slot: number): void => checkHeld(user, slot, this.#nodes);
    this.#users.push(
      new SimUser({
        queue: this.#queue,
        prng,
        network: this.#network,
        client,
        options,
        trace: this.#trace,
        ...{ onHeld, onError: () => this.#losses.lookForLate(this.#queue.nowMs) },
      }),
    );
  }

  #noticed(host: string, message: string, fields?: LogFields): void {
    this.#trace.event(`${host}: ${messageText(message, fields)}`);
    // Nothing makes up for a wrong byte in their pages any more: too much at a time.
    if (message === GIVEN_UP) this.#nodes.rot.heal();
  }

  #checkBooks(): void {
    for (const node of this.nodes()) {
      checkServer(node);
      this.#lending.check(node);
    }
    const close = Math.max(1, this.options.slots / 64);
    for (const client of this.clients) {
      checkGroups(client, this.#nodes, () => this.#prng.chance(1 / close));
    }
    this.#queue.after(500 + this.#prng.below(4000), () => this.#checkBooks());
  }

  /** Moments at which all is protected may be short. */
  #lookForLosses(): void {
    this.#losses.look();
    const { nowMs } = this.#queue;
    this.#losses.lookForLate(nowMs);
    this.#losses.lookForMerged(nowMs);
    this.#losses.lookForGivenUp(nowMs);
    this.#queue.after(this.#losses.awaitsMore(nowMs) ? LOOK_LATE_MS : LOOK_MS, () => this.#lookForLosses());
  }

  /**
   * Bytes change in the memory of servers, where all is protected but for the page that is hit. Nobody looks at the
   * copies of a mirror: some of them become good by themselves, so that others may go bad, and servers die.
   */
  #rot(prng: Prng): void {
    const { rotEveryMs, chaosMs, redundancy } = this.options;
    this.#queue.after(prng.below(2 * rotEveryMs), () => {
      if (this.#queue.nowMs >= chaosMs) return;
      if (redundancy === "mirror" && prng.chance(0.3)) this.#nodes.rot.heal();
      const node = this.nodes()[prng.below(this.nodes().length)];
      if (node !== undefined && this.#losses.allProtected && this.#nodes.rot.where === undefined) {
        this.#nodes.rot.strike(node);
        this.#trace.event(`fault: a wrong byte in ${this.#nodes.rot.where}`);
      }
      this.#rot(prng);
    });
  }

  // Victims

  nodes(): SimNode[] {
    return this.#nodes.living;
  }

  mayKill(): boolean {
    return this.#losses.allowed && this.#nodes.rot.where === undefined;
  }

  kill(nodes: readonly SimNode[], way: "crash" | "lose power" | "shut down"): void {
    for (const node of nodes) {
      this.#trace.event(`${node.address} dies`);
      this.#nodes.bury(node);
      this.#network.set(node.address, way === "lose power" ? "gone" : "down");
      node.crash(way === "lose power");
    }
    this.#losses.died(nodes, this.#queue.nowMs);
    if (way === "shut down") for (const node of nodes) this.#tellThatItLeft(node);
  }

  /** What membership would tell of a server that left in order. */
  #tellThatItLeft(node: SimNode): void {
    if (this.options.redundancy === "none") return;
    for (const { core, process } of this.clients) {
      process.after(this.#prng.below(GOSSIP_MS), () => core.serverLost(node.identity, "it left"));
    }
  }

  replace({ role, address: before }: SimNode): void {
    const address = this.#moving.chance(this.options.moveShare) ? otherOf(before) : before;
    // The machine runs again: it says that nobody listens there.
    if (address !== before) this.#network.set(before, "down");
    if (role === "server") this.#startServer(address, this.#capacity());
    else this.#startParity(address, this.#parityCapacity());
  }

  /** Where servers may be after they were started again. */
  #others(addresses: readonly string[]): string[] {
    return this.options.moveShare > 0 ? addresses.map(otherOf) : [];
  }

  // Phases

  /** Runs it; never throws for what the cluster did. */
  run(): SimResult {
    let violation: Violation | undefined;
    try {
      this.#phases();
    } catch (error) {
      violation =
        error instanceof Violation
          ? error
          : new Violation(this.#queue.nowMs, `a process died: ${(error as Error).stack}`, error);
    }
    const sum = (figure: (user: SimUser) => number): number =>
      this.#users.reduce((total, user) => total + figure(user), 0);
    return {
      options: this.options,
      violation,
      traceHash: this.#trace.hash,
      simulatedMs: this.#queue.nowMs,
      events: this.#queue.ran,
      requests: sum((user) => user.requests),
      answers: sum((user) => user.answers),
      faults:
        this.#faults.counts +
        this.#lending.count +
        this.#vanishing.count +
        this.#severing.count +
        this.#nodes.rot.count,
      lostReads: sum((user) => user.lostReads),
      rotten: this.#nodes.rot.count,
      vanished: this.#vanishing.count,
    };
  }

  #phases(): void {
    const { chaosMs, slots, redundancy } = this.options;
    this.#runUntil(chaosMs, () => false);
    this.#trace.event("heal");
    this.#faults.heal();
    this.#startSpares();
    for (const user of this.#users) {
      user.troubled = false;
      user.stopWorking();
    }
    if (this.options.severEveryMs < Number.POSITIVE_INFINITY) this.#staySevered();
    this.#settle("requests", ANSWERED_MS);
    this.#protect();
    this.#readAll((user) => user.readAll(), 10 + slots);
    // Pages whose servers were slow, or away in between, were read from copies.
    if (redundancy === "mirror" && this.#nodes.rot.where !== undefined)
      this.#readAll((user) => user.readSlowly(), 10 + slots * SLOWLY_MS);
    this.#untilCalm();
    this.#protect();
    checkQuiet(this.clients, this.#nodes);
    for (const user of this.#users) {
      for (let slot = 0; slot < slots; slot += 1) checkHeld(user, slot, this.#nodes);
    }
  }

  /** Between two signs of life, and once servers know what was made anew last: a scrub goes on for ever. */
  #untilCalm(): void {
    let busyMs = this.#queue.nowMs;
    this.#runUntil(busyMs + PAUSE_MS, () => {
      const { nowMs } = this.#queue;
      if (this.clients.some(({ core }) => core.redundancy.isBusy)) busyMs = nowMs;
      return nowMs - busyMs >= 2 * limits.tickMs && nothingQueued(this.clients, this.nodes());
    });
  }

  /** All devices are read: within so long all reads are under way. */
  #readAll(read: (user: SimUser) => void, ms: number): void {
    for (const user of this.#users) read(user);
    this.#runUntil(this.#queue.nowMs + ms, () => false);
    this.#settle("final reads", READ_MS);
    this.#trace.event("quiet");
    this.#runUntil(this.#queue.nowMs + QUIET_MS, () => false);
  }

  /** Room for everything, else writes wait for good, or pages stay unprotected. */
  #startSpares(): void {
    const { slots, clients, redundancy, parityServers } = this.options;
    const frames = slots * clients * 2 + 1000;
    for (const spare of redundancy === "none" ? SPARES.slice(0, 1) : SPARES) this.#startServer(spare, frames);
    if (parityServers > 0) this.#startParity(SPARE_PARITY, frames);
  }

  /** Every page is covered in time. */
  #protect(): void {
    const open = (): number => this.clients.reduce((sum, client) => sum + unprotectedPages(client), 0);
    if (this.options.redundancy === "none") return;
    this.#runUntil(this.#queue.nowMs + PROTECTED_MS, () => open() === 0);
    if (open() === 0) return;
    throw new Violation(
      this.#queue.nowMs,
      `${open()} pages unprotected ${PROTECTED_MS} ms after everything was whole`,
    );
  }

  /** All is whole but for the network between some servers, and one server that dies if it may; then all is. */
  #staySevered(): void {
    const room = { parity: SPARE_PARITY, servers: SPARES };
    this.#runUntil(this.#queue.nowMs + CALM_MS, () => this.mayKill());
    const fromMs = this.#queue.nowMs;
    this.#severing.last(fromMs + SEVERED_MS);
    const mortal = this.nodes().filter(({ address }) => ![SPARE_PARITY, ...SPARES].includes(address));
    const victim = mortal[this.#prng.below(mortal.length)]!;
    if (this.mayKill()) this.kill([victim], "shut down");
    const open = (): number =>
      this.clients.reduce((sum, client) => sum + this.#severing.unprotected(client, room), 0);
    this.#runUntil(fromMs + PROTECTED_SEVERED_MS, () => open() === 0);
    if (open() > 0) {
      const what = `${open()} pages unprotected that need no server that is out of reach of another`;
      throw new Violation(this.#queue.nowMs, `${what}, after ${PROTECTED_SEVERED_MS} ms`);
    }
    this.#runUntil(fromMs + SEVERED_MS, () => false);
  }

  #runUntil(untilMs: number, done: () => boolean): void {
    while (!done() && this.#queue.step(untilMs));
  }

  /** Everything outstanding is answered in time. */
  #settle(what: string, ms: number): void {
    const open = (): number => this.#users.reduce((sum, user) => sum + user.outstanding, 0);
    this.#runUntil(this.#queue.nowMs + ms, () => open() === 0);
    if (open() === 0) return;
    throw new Violation(
      this.#queue.nowMs,
      `${open()} ${what} unanswered ${ms} ms after everything was whole`,
    );
  }
}

/** Runs one seed. `given` options win over those drawn. */
export function runSeed(
  seed: number,
  given: Partial<SimOptions> = {},
  hooks: Hooks = {},
  print?: (line: string) => void,
): SimResult {
  return new Simulation(drawOptions(seed, given), hooks, print).run();
}
