import { Prng } from "../base/prng.ts";
import type { EventQueue } from "./event-queue.ts";
import { Path } from "./path.ts";
import type { Process } from "./process.ts";
import { End } from "./wire.ts";

/** Who takes connections at an address. */
export interface Listener {
  readonly process: Process;
  accept(end: End): void;
}

/** "down": the host answers that nobody listens; "gone": no answer at all. */
export type Address = Listener | "down" | "gone";

/** What an end is told that nobody took. */
export const REFUSED = "connection refused";

export interface NetworkFigures {
  splitRate: number;
  latencyMs: number;
  jitterMs: number;
  bufferBytes: number;
}

/** Hosts, addresses and the paths between them. */
export class Network {
  readonly #queue: EventQueue;
  readonly #figures: NetworkFigures;
  readonly #seed: number;
  readonly #paths = new Map<string, Path>();
  readonly #addresses = new Map<string, Address>();

  constructor(queue: EventQueue, seed: number, figures: NetworkFigures) {
    this.#queue = queue;
    this.#seed = seed;
    this.#figures = figures;
  }

  get paths(): Path[] {
    return [...this.#paths.values()];
  }

  /** The path between two hosts, made when first asked for. */
  path(from: string, to: string): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = new Path(this.#queue, new Prng(this.#seed + this.#paths.size * 7919), this.#figures);
      this.#paths.set(key, path);
    }
    return path;
  }

  set(address: string, state: Address): void {
    this.#addresses.set(address, state);
  }

  /** Connects; what is sent before the connection stands waits. The end breaks if the connection is refused. */
  connect(process: Process, from: string, address: string): End {
    const path = this.path(from, address);
    const near = new End(path, process, 0, this.#figures.bufferBytes);
    const atMs = Math.max(path.arrivalMs(), path.cloggedUntilMs(0), path.cloggedUntilMs(1));
    const listener = this.#addresses.get(address) ?? "gone";
    const far = new End(
      path,
      listener instanceof Object ? listener.process : process,
      1,
      this.#figures.bufferBytes,
    );
    near.other = far;
    far.other = near;
    this.#queue.at(atMs, () => this.#arrive(near, far, address, listener));
    return near;
  }

  #arrive(near: End, far: End, address: string, dialed: Address): void {
    const listener = this.#addresses.get(address) ?? "gone";
    if (near.closed) return;
    if (listener === "gone") {
      near.mute();
      far.mute();
    } else if (listener === "down" || listener !== dialed || near.path.refusesUntilMs > this.#queue.nowMs) {
      near.process.at(this.#queue.nowMs, () => near.break(REFUSED));
      far.mute();
    } else {
      listener.process.at(this.#queue.nowMs, () => far.closed || listener.accept(far));
    }
  }
}
