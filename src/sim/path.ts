import type { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";

/** The network between two hosts, and what is wrong with it. */
export class Path {
  readonly prng: Prng;
  /** Share of transfers that are cut to pieces. */
  splitRate: number;
  latencyMs: number;
  jitterMs: number;
  /** No clog lasts longer. */
  clogMsMax = Number.POSITIVE_INFINITY;
  /** Connections are refused until then. */
  refusesUntilMs = 0;
  readonly #queue: EventQueue;
  readonly #cloggedUntilMs: [number, number] = [0, 0];

  constructor(
    queue: EventQueue,
    prng: Prng,
    figures: { splitRate: number; latencyMs: number; jitterMs: number },
  ) {
    this.#queue = queue;
    this.prng = prng;
    this.splitRate = figures.splitRate;
    this.latencyMs = figures.latencyMs;
    this.jitterMs = figures.jitterMs;
  }

  /** When something sent now arrives if nothing is in the way. */
  arrivalMs(): number {
    return this.#queue.nowMs + this.latencyMs + (this.prng.below(1000) / 1000) * this.jitterMs;
  }

  /** Nothing arrives at this side (0: connector, 1: acceptor) before then. */
  cloggedUntilMs(side: 0 | 1): number {
    return this.#cloggedUntilMs[side];
  }

  clog(side: 0 | 1, untilMs: number): void {
    this.#cloggedUntilMs[side] = Math.max(
      this.#cloggedUntilMs[side],
      Math.min(untilMs, this.#queue.nowMs + this.clogMsMax),
    );
  }
}
