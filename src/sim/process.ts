import type { EventQueue } from "./event-queue.ts";

/** A simulated process: what it has to do waits while it hangs (as after SIGSTOP) and is forgotten when it dies. */
export class Process {
  alive = true;
  hungUntilMs = 0;
  /** Longest time from an event to the end of the turn that it belongs to. */
  turnMs: number;
  readonly queue: EventQueue;

  constructor(queue: EventQueue, turnMs: number) {
    this.queue = queue;
    this.turnMs = turnMs;
  }

  get nowMs(): number {
    return this.queue.nowMs;
  }

  /** Runs `run` at `atMs`, later if the process hangs then, never if it is dead by then. */
  at(atMs: number, run: () => void): void {
    this.queue.at(atMs, () => this.#run(run));
  }

  after(ms: number, run: () => void): void {
    this.at(this.queue.nowMs + ms, run);
  }

  #run(run: () => void): void {
    if (!this.alive) return;
    if (this.hungUntilMs > this.queue.nowMs) this.queue.at(this.hungUntilMs, () => this.#run(run));
    else run();
  }

  /** Runs `run` every so often until the process dies. */
  every(ms: number, run: () => void): void {
    this.after(ms, () => {
      run();
      this.every(ms, run);
    });
  }
}
