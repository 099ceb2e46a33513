import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Network } from "./network.ts";
import type { SimClient } from "./sim-client.ts";
import { FAULTS, pickWeighted, type SimOptions } from "./sim-options.ts";
import type { SimServer } from "./sim-server.ts";
import type { Trace } from "./trace.ts";

/** The cluster as its tormentor sees it. */
export interface Victims {
  readonly clients: readonly SimClient[];
  /** Those that run. */
  servers(): SimServer[];
  /** The server dies with its pages. */
  kill(server: SimServer, silently: boolean): void;
  /** Another server starts in its place. */
  replace(server: SimServer): void;
}

/** Breaks things until the time of healing; what is broken is whole again by then. */
export class Faults {
  readonly #queue: EventQueue;
  readonly #prng: Prng;
  readonly #options: SimOptions;
  readonly #network: Network;
  readonly #victims: Victims;
  readonly #trace: Trace;
  readonly #dead: SimServer[] = [];
  counts = 0;

  constructor(
    queue: EventQueue,
    prng: Prng,
    options: SimOptions,
    network: Network,
    victims: Victims,
    trace: Trace,
  ) {
    this.#queue = queue;
    this.#prng = prng;
    this.#options = options;
    this.#network = network;
    this.#victims = victims;
    this.#trace = trace;
    this.#later();
  }

  #later(): void {
    const { faultEveryMs, chaosMs } = this.#options;
    if (faultEveryMs === Number.POSITIVE_INFINITY) return;
    this.#queue.after(this.#prng.below(2 * faultEveryMs), () => {
      if (this.#queue.nowMs >= chaosMs) return;
      this.#strike();
      this.#later();
    });
  }

  /** Everything is whole again: who died for good is replaced now. */
  heal(): void {
    for (const server of this.#dead) this.#victims.replace(server);
    this.#dead.length = 0;
  }

  /** A time from now, at most until everything heals. Mostly short. */
  #until(): number {
    const prng = this.#prng;
    const most = prng.chance(0.6) ? 300 : prng.chance(0.7) ? 4_000 : 40_000;
    return Math.min(this.#queue.nowMs + prng.below(most), this.#options.chaosMs);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#prng.below(from.length)];
  }

  #strike(): void {
    const fault = pickWeighted(this.#prng, FAULTS, this.#options.faults);
    const server = this.#pick(this.#victims.servers());
    const client = this.#pick(this.#victims.clients)!;
    const untilMs = this.#until();
    this.counts += 1;
    this.#trace.event(`fault: ${fault} ${server?.address ?? ""} ${client.host} until ${Math.round(untilMs)}`);
    switch (fault) {
      case "clog":
        return this.#clog(untilMs);
      case "reset":
      case "cut":
        return this.#break(server, fault === "cut");
      case "refuse":
        if (server !== undefined) this.#network.path(client.host, server.address).refusesUntilMs = untilMs;
        return;
      case "hang server":
        if (server !== undefined) server.process.hungUntilMs = untilMs;
        return;
      case "hang client":
        client.process.hungUntilMs = Math.min(untilMs, this.#queue.nowMs + 5_000);
        return;
      case "slow server":
        return this.#slow(server, untilMs);
      case "crash":
      case "lose power":
      case "shut down":
        return this.#kill(server, fault === "lose power", fault === "shut down" ? undefined : untilMs);
    }
  }

  #clog(untilMs: number): void {
    const path = this.#pick(this.#network.paths);
    const sides = this.#prng.below(3);
    if (sides !== 1) path?.clog(0, untilMs);
    if (sides !== 0) path?.clog(1, untilMs);
  }

  /** Breaks a connection: both sides are told, or only one. What was sent by then may still arrive at the other. */
  #break(server: SimServer | undefined, oneSided: boolean): void {
    const end = this.#pick(server?.ends ?? []);
    if (end === undefined) return;
    const prng = this.#prng;
    const [first, second] = prng.chance(0.5) ? [end, end.other] : [end.other, end];
    first.process.after(0, () => first.break());
    if (!oneSided) second.process.after(prng.below(prng.chance(0.5) ? 5 : 1000), () => second.break());
  }

  #slow(server: SimServer | undefined, untilMs: number): void {
    if (server === undefined) return;
    const { process, options } = server;
    process.turnMs = 1 + this.#prng.below(300);
    this.#queue.at(untilMs, () => {
      process.turnMs = options.turnMs;
    });
  }

  #kill(server: SimServer | undefined, silently: boolean, backAtMs: number | undefined): void {
    if (server === undefined) return;
    this.#victims.kill(server, silently);
    if (backAtMs === undefined) this.#dead.push(server);
    else this.#queue.at(backAtMs, () => this.#victims.replace(server));
  }
}
