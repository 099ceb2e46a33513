import type { StreamSocket } from "./stream-socket.ts";

/** After so many turns with a single short message each, the next one is answered at once. */
const QUIET_TURNS = 8;
/** A message with one page, or none. */
const QUIET_BYTES = 4096 + 256;
/** Most turns without polling after polling was in vain. */
const SKIPPED_TURNS_MAX = 256;

/** Sockets to be seen to once; those added meanwhile are for the next time. Its memory is kept. */
class SocketBatch {
  #adding: (StreamSocket | undefined)[] = [];
  #draining: (StreamSocket | undefined)[] = [];
  #count = 0;

  push(socket: StreamSocket): void {
    this.#adding[this.#count] = socket;
    this.#count += 1;
  }

  drain(visit: (socket: StreamSocket) => void): void {
    const count = this.#count;
    if (count === 0) return;
    const sockets = this.#adding;
    this.#adding = this.#draining;
    this.#draining = sockets;
    this.#count = 0;
    for (let i = 0; i < count; i += 1) {
      const socket = sockets[i]!;
      sockets[i] = undefined;
      visit(socket);
    }
  }
}

const flush = (socket: StreamSocket): void => socket.flush();
const feedCarry = (socket: StreamSocket): void => socket.feedCarry();

interface TurnFlusherOptions {
  /** Lets a core encode what it has batched up, in the middle of a turn or at its end; may schedule more sockets. */
  beforeFlush: (isTurnEnd: boolean) => void;
  /**
   * Longest time, in microseconds, that the process looks for the next bytes instead of going to sleep after a
   * turn that brought some; 0 or left out for never.
   */
  busyPollUs?: number;
  /** False while those who should send next need the processor themselves. */
  mayPoll?: () => boolean;
  /**
   * What a read has led to goes out behind it, without waiting for what other sockets bring in the turn, and without
   * another turn: for memory servers, whose clients share no message, and which begin nothing of their own.
   */
  afterEachRead?: boolean;
  /** A clock of a test's own. */
  nowMs?: () => number;
}

/**
 * Gathers the sockets that have something to send and flushes them once a turn of the event loop: after all that
 * has arrived was handled (setImmediate runs behind the poll phase), so answers to many requests share a system call.
 * Only a read that brings a great many short requests is sent on in the middle (`sendEarly`).
 *
 * Being woken from sleep costs more than a request, for the one who sleeps and for the one who wakes. So it may stay
 * awake a short while (as the kernel's haltpoll does): while it pays, the loop turns without sleeping; each time it
 * was in vain, it is left alone for twice as many turns.
 */
export class TurnFlusher {
  readonly #beforeFlush: (isTurnEnd: boolean) => void;
  readonly #mayPoll: () => boolean;
  readonly #nowMs: () => number;
  readonly #pollMs: number;
  readonly #afterEachRead: boolean;
  readonly #run = (): void => this.#turn();
  readonly #dirty = new SocketBatch();
  readonly #resumed = new SocketBatch();
  #scheduled = false;
  /** Whatever is scheduled now is flushed before the loop goes on: no turn is needed for it. */
  #flushFollows = false;
  #reads = 0;
  #bytesRead = 0;
  #quietTurns = 0;
  #pollUntil = 0;
  #skip = 0;
  #skipped = 0;

  constructor(options: TurnFlusherOptions) {
    this.#beforeFlush = options.beforeFlush;
    this.#mayPoll = options.mayPoll ?? (() => true);
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#pollMs = (options.busyPollUs ?? 0) / 1000;
    this.#afterEachRead = options.afterEachRead ?? false;
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
    if (!this.#flushFollows) this.wake();
  }

  /** The socket's handler can take again what it had to leave. */
  scheduleResume(socket: StreamSocket): void {
    this.#resumed.push(socket);
    this.wake();
  }

  /** A socket's bytes are about to be handled; `received` follows. */
  receiving(): void {
    this.#flushFollows = this.#afterEachRead;
  }

  /** A socket's `length` bytes were handled; in quiet times what they led to goes out at once. */
  received(length: number): void {
    if (this.#afterEachRead) return this.#send(true);
    this.#reads += 1;
    this.#bytesRead += length;
    this.wake();
    if (this.#quietTurns === QUIET_TURNS && this.#reads === 1 && length <= QUIET_BYTES) this.#send(true);
  }

  /** Sends in the middle of a turn: others can work on it while the rest of a long read is handled. */
  sendEarly(): void {
    this.#send(false);
  }

  #turn(): void {
    this.#scheduled = false;
    this.#resumed.drain(feedCarry);
    this.#send(true);
    if (this.#reads > 0) this.#busyTurn();
    else if (this.#pollUntil > 0) this.#pollTurn();
  }

  #busyTurn(): void {
    const quiet = this.#reads === 1 && this.#bytesRead <= QUIET_BYTES;
    if (!quiet) this.#quietTurns = 0;
    else if (this.#quietTurns < QUIET_TURNS) this.#quietTurns += 1;
    this.#reads = 0;
    this.#bytesRead = 0;
    if (this.#pollMs === 0) return;
    if (this.#pollUntil > 0) this.#skip = 0;
    this.#pollUntil = 0;
    if (this.#skipped < this.#skip) {
      this.#skipped += 1;
      return;
    }
    if (!this.#mayPoll()) return;
    this.#pollUntil = this.#nowMs() + this.#pollMs;
    this.wake();
  }

  #pollTurn(): void {
    if (this.#nowMs() < this.#pollUntil) {
      this.wake();
      return;
    }
    this.#pollUntil = 0;
    this.#skip = Math.min(Math.max(1, 2 * this.#skip), SKIPPED_TURNS_MAX);
    this.#skipped = 0;
  }

  #send(isTurnEnd: boolean): void {
    // Else another turn follows, which sees to what this flush brings about.
    this.#flushFollows = this.#afterEachRead;
    this.#beforeFlush(isTurnEnd);
    this.#flushFollows = false;
    this.#dirty.drain(flush);
  }
}
