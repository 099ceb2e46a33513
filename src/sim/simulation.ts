import type { Prover } from "../../proto/peer/index.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { Prng } from "../base/prng.ts";
import { clientLimits } from "../client/client-limits.ts";
import { checkHeld, checkQuiet, checkServer, nothingQueued } from "./checkers.ts";
import { EventQueue } from "./event-queue.ts";
import { Faults, type Victims } from "./faults.ts";
import { Network } from "./network.ts";
import { SimClient } from "./sim-client.ts";
import { drawOptions, type SimOptions } from "./sim-options.ts";
import { simProver } from "./sim-prover.ts";
import { SimServer } from "./sim-server.ts";
import { SimUser } from "./sim-user.ts";
import { Trace } from "./trace.ts";
import { Violation } from "./violation.ts";

/** After everything is whole: all requests are answered within this time, */
const ANSWERED_MS = 90_000;
/** then a reading of every device is, */
const READ_MS = 60_000;
/** and what dead connections held is given back by then. */
const QUIET_MS = 100_000;
/** Some moment within this time finds nobody sending anything. */
const PAUSE_MS = 3_000;
const BLOCK_BYTES = 16_384;

/** Defects planted by tests, to see that the checkers find them. */
export interface Hooks {
  client?(client: SimClient): void;
  server?(server: SimServer): void;
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
  readonly #servers = new Map<string, SimServer>();
  readonly #users: SimUser[] = [];
  readonly #faults: Faults;
  readonly #hooks: Hooks;
  #lives = 0;

  constructor(options: SimOptions, hooks: Hooks = {}, print?: (line: string) => void) {
    this.options = options;
    this.#hooks = hooks;
    this.#trace = new Trace(this.#queue, print);
    this.#prng = new Prng(options.seed + 1_000_003);
    this.#network = new Network(this.#queue, this.#prng.next(), options);
    this.#prover = options.keyed ? simProver : undefined;
    const addresses = Array.from({ length: options.servers }, (_, i) => `server${i}`);
    for (const address of addresses) this.#startServer(address, this.#capacity());
    for (let i = 0; i < options.clients; i += 1) this.#startClient(`client${i}`, [...addresses, "spare"]);
    const prng = new Prng(this.#prng.next());
    this.#faults = new Faults(this.#queue, prng, options, this.#network, this, this.#trace);
    this.#queue.after(this.#prng.below(1000), () => this.#checkBooks());
  }

  #capacity(): number {
    const { slots, clients, servers, capacityShare } = this.options;
    const fair = (slots * clients * capacityShare) / servers;
    return Math.max(1, Math.floor(fair * (0.3 + this.#prng.below(140) / 100)));
  }

  #startServer(address: string, capacityFrames: number): void {
    const { options } = this;
    const server = new SimServer({
      queue: this.#queue,
      prng: new Prng(this.#prng.next()),
      address,
      life: this.#lives,
      capacityFrames,
      turnMs: 0.2,
      readBytes: options.readBytes,
      queueBytesSoft: options.serverQueueBytesSoft,
      listScanFrames: options.listScanFrames,
      blocks: { soft: Math.ceil(options.serverBlocks / 2), max: options.serverBlocks },
      prover: this.#prover,
    });
    this.#lives += 1;
    this.#servers.set(address, server);
    this.#network.set(address, server);
    this.#hooks.server?.(server);
    this.#trace.event(`${address} starts with ${capacityFrames} frames`);
  }

  #startClient(host: string, servers: string[]): void {
    const { options } = this;
    const client = new SimClient({
      queue: this.#queue,
      prng: new Prng(this.#prng.next()),
      network: this.#network,
      host,
      servers,
      slots: options.slots,
      turnMs: 0.2,
      readBytes: options.readBytes,
      limits: {
        ...clientLimits,
        clientFrames: options.clientFrames,
        clientFramesSoft: options.clientFramesSoft,
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
      notice: (text) => this.#trace.event(`${host}: ${text}`),
    });
    this.clients.push(client);
    this.#network.set(host, client);
    this.#hooks.client?.(client);
    const prng = new Prng(this.#prng.next());
    const onHeld = (user: SimUser, slot: number): void => checkHeld(user, slot, this.servers());
    this.#users.push(
      new SimUser({
        queue: this.#queue,
        prng,
        network: this.#network,
        client,
        options,
        trace: this.#trace,
        onHeld,
      }),
    );
  }

  #checkBooks(): void {
    for (const server of this.servers()) checkServer(server);
    this.#queue.after(500 + this.#prng.below(4000), () => this.#checkBooks());
  }

  // Victims

  servers(): SimServer[] {
    return [...this.#servers.values()];
  }

  kill(server: SimServer, silently: boolean): void {
    server.core.visitPages((identity, _pageId, slot, frame) => {
      const copy = new Uint8Array(PAGE_BYTES);
      server.core.readFrame(frame, copy, 0);
      this.#users.find(({ client }) => client.identity === identity)?.model.lose(slot, copy);
    });
    this.#servers.delete(server.address);
    this.#network.set(server.address, silently ? "gone" : "down");
    server.crash(silently);
  }

  replace(server: SimServer): void {
    this.#startServer(server.address, this.#capacity());
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
      faults: this.#faults.counts,
      lostReads: sum((user) => user.lostReads),
    };
  }

  #phases(): void {
    const { chaosMs } = this.options;
    this.#runUntil(chaosMs, () => false);
    this.#trace.event("heal");
    this.#faults.heal();
    // Room for everything, else writes wait for good.
    this.#startServer("spare", this.options.slots * this.options.clients * 2 + 1000);
    for (const user of this.#users) {
      user.troubled = false;
      user.stopWorking();
    }
    this.#settle("requests", ANSWERED_MS);
    for (const user of this.#users) user.readAll();
    this.#runUntil(this.#queue.nowMs + 10 + this.options.slots, () => false);
    this.#settle("final reads", READ_MS);
    this.#trace.event("quiet");
    this.#runUntil(this.#queue.nowMs + QUIET_MS, () => false);
    // Between two signs of life.
    this.#runUntil(this.#queue.nowMs + PAUSE_MS, () => nothingQueued(this.clients, this.servers()));
    checkQuiet(this.clients, this.servers());
    for (const user of this.#users) {
      for (let slot = 0; slot < this.options.slots; slot += 1) checkHeld(user, slot, this.servers());
    }
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
