import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Network } from "./network.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimNode } from "./sim-node.ts";
import { FAULTS, pickWeighted, type SimOptions } from "./sim-options.ts";
import type { Trace } from "./trace.ts";

/** The cluster as its tormentor sees it. */
export interface Victims {
  readonly clients: readonly SimClient[];
  /** Memory and parity servers that run. */
  nodes(): SimNode[];
  /** True if a server may lose its pages now. */
  mayKill(): boolean;
  /** The servers die with their pages, at the same time. */
  kill(nodes: readonly SimNode[], way: "crash" | "lose power" | "shut down"): void;
  /** Another server starts in its place. */
  replace(node: SimNode): void;
}

/** A death waits so long for a parity server to be in the middle of something. */
const WORK_MS = 400;

/** Breaks things until the time of healing; what is broken is whole again by then. */
export class Faults {
  readonly #queue: EventQueue;
  readonly #prng: Prng;
  readonly #options: SimOptions;
  readonly #network: Network;
  readonly #victims: Victims;
  readonly #trace: Trace;
  readonly #dead: SimNode[] = [];
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
    for (const node of this.#dead) this.#victims.replace(node);
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
    const node = this.#pick(this.#victims.nodes());
    const client = this.#pick(this.#victims.clients)!;
    const untilMs = this.#until();
    this.counts += 1;
    this.#trace.event(`fault: ${fault} ${node?.address ?? ""} ${client.host} until ${Math.round(untilMs)}`);
    if (fault === "clog") return this.#clog(untilMs);
    if (fault === "hang client") {
      client.process.hungUntilMs = Math.min(untilMs, this.#queue.nowMs + 5_000);
      return;
    }
    if (node === undefined) return;
    switch (fault) {
      case "reset":
      case "cut":
        return this.#break(node, fault === "cut");
      case "refuse":
        this.#network.path(this.#whoConnectsTo(node, client), node.address).refusesUntilMs = untilMs;
        return;
      case "hang server":
        node.process.hungUntilMs = untilMs;
        return;
      case "slow server":
        return this.#slow(node, untilMs);
      case "crash":
      case "lose power":
      case "shut down":
        return this.#kill(node, fault, untilMs);
    }
  }

  #clog(untilMs: number): void {
    const path = this.#pick(this.#network.paths);
    const sides = this.#prng.below(3);
    if (sides !== 1) path?.clog(0, untilMs);
    if (sides !== 0) path?.clog(1, untilMs);
  }

  /** Host name of the client, or of a parity server, which has connections to memory servers of its own. */
  #whoConnectsTo(node: SimNode, client: SimClient): string {
    const parity = this.#victims.nodes().filter((each) => each.role === "parity");
    if (node.role === "parity" || parity.length === 0 || this.#prng.chance(0.5)) return client.host;
    return this.#pick(parity)!.address;
  }

  /** Breaks a connection: both sides are told, or only one. What was sent by then may still arrive at the other. */
  #break(node: SimNode, oneSided: boolean): void {
    const end = this.#pick(node.ends);
    if (end === undefined) return;
    const prng = this.#prng;
    const [first, second] = prng.chance(0.5) ? [end, end.other] : [end.other, end];
    first.process.after(0, () => first.break());
    if (!oneSided) second.process.after(prng.below(prng.chance(0.5) ? 5 : 1000), () => second.break());
  }

  #slow({ process, options }: SimNode, untilMs: number): void {
    process.turnMs = 1 + this.#prng.below(300);
    this.#queue.at(untilMs, () => {
      process.turnMs = options.turnMs;
    });
  }

  #kill(node: SimNode, way: "crash" | "lose power" | "shut down", backAtMs: number): void {
    if (this.#options.redundancy !== "parity" || this.#prng.chance(0.4))
      return this.#killNow(node, way, backAtMs);
    this.#atWork(Math.min(this.#queue.nowMs + WORK_MS, backAtMs), () => {
      const victim = this.#pick(this.#victims.nodes());
      if (victim !== undefined) this.#killNow(victim, way, Math.max(backAtMs, this.#queue.nowMs));
    });
  }

  /** Runs `run` within the few milliseconds that a parity server takes to make one page of others, or at `untilMs`. */
  #atWork(untilMs: number, run: () => void): void {
    const busy = this.#victims.nodes().some(({ isAtWork }) => isAtWork);
    if (busy) this.#queue.after(this.#prng.below(40) / 10, run);
    else if (this.#queue.nowMs >= untilMs) run();
    else this.#queue.after(0.3, () => this.#atWork(untilMs, run));
  }

  #killNow(node: SimNode, way: "crash" | "lose power" | "shut down", backAtMs: number): void {
    if (this.#queue.nowMs >= this.#options.chaosMs || !this.#victims.mayKill()) return;
    const nodes = [node];
    if (this.#options.losses === "two") {
      const second = this.#pick(this.#victims.nodes().filter((each) => each !== node));
      if (second !== undefined) nodes.push(second);
    }
    this.#victims.kill(nodes, way);
    if (way === "shut down") this.#dead.push(...nodes);
    else {
      this.#queue.at(backAtMs, () => {
        for (const each of nodes) this.#victims.replace(each);
      });
    }
  }
}
