import type { StreamSocket } from "./stream-socket.ts";

/**
 * Gathers the sockets that have something to send and flushes them once a turn of the event loop: after all that
 * has arrived was handled (setImmediate runs behind the poll phase), so answers to many requests share a system call.
 */
export class TurnFlusher {
  readonly #beforeFlush: () => void;
  readonly #run = (): void => this.#flush();
  #dirty: StreamSocket[] = [];
  #flushing: StreamSocket[] = [];
  #resumed: StreamSocket[] = [];
  #resuming: StreamSocket[] = [];
  #scheduled = false;

  /** `beforeFlush` lets a core encode what it has batched up; it may schedule more sockets. */
  constructor(beforeFlush: () => void) {
    this.#beforeFlush = beforeFlush;
  }

  /** Sees to it that a flush comes at the end of this turn. */
  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  /** The socket has something to send. */
  schedule(socket: StreamSocket): void {
    this.#dirty.push(socket);
    this.wake();
  }

  /** The socket's handler can take again what it had to leave. */
  scheduleResume(socket: StreamSocket): void {
    this.#resumed.push(socket);
    this.wake();
  }

  #feed(): void {
    const now = this.#resumed;
    this.#resumed = this.#resuming;
    this.#resuming = now;
    for (let i = 0; i < now.length; i += 1) now[i]!.feedCarry();
    now.length = 0;
  }

  #flush(): void {
    this.#scheduled = false;
    this.#feed();
    this.#beforeFlush();
    const now = this.#dirty;
    this.#dirty = this.#flushing;
    this.#flushing = now;
    for (let i = 0; i < now.length; i += 1) now[i]!.flush();
    now.length = 0;
  }
}
