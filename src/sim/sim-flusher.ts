import type { Prng } from "../base/prng.ts";
import type { Process } from "./process.ts";
import type { SimSocket } from "./sim-socket.ts";

/** The end of a turn of a simulated process, as the production driver has it: carried bytes, cores, then sockets. */
export class SimFlusher {
  readonly #process: Process;
  readonly #prng: Prng;
  readonly #beforeFlush: () => void;
  readonly #run = (): void => this.#flush();
  #dirty: SimSocket[] = [];
  #resumed: SimSocket[] = [];
  #scheduled = false;

  constructor(process: Process, prng: Prng, beforeFlush: () => void) {
    this.#process = process;
    this.#prng = prng;
    this.#beforeFlush = beforeFlush;
  }

  /** Sees to it that a flush comes at the end of this turn. */
  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#process.after((this.#prng.below(1000) / 1000) * this.#process.turnMs, this.#run);
  }

  schedule(socket: SimSocket): void {
    this.#dirty.push(socket);
    this.wake();
  }

  scheduleResume(socket: SimSocket): void {
    this.#resumed.push(socket);
    this.wake();
  }

  #flush(): void {
    this.#scheduled = false;
    const resumed = this.#resumed;
    this.#resumed = [];
    for (const socket of resumed) socket.feedCarry();
    this.#beforeFlush();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const socket of dirty) socket.flush();
  }
}
