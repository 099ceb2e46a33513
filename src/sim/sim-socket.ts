import type { Block, BlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import type { Process } from "./process.ts";
import type { SimFlusher } from "./sim-flusher.ts";
import type { End, EndUser } from "./wire.ts";

/** The sans-IO side of a connection. */
export interface SocketHandler {
  receive(bytes: Uint8Array, start: number, end: number): number;
  drained(): void;
  ended(error: Error | undefined): void;
}

/** Where the sockets of a process read into: [start, start + window.length) of `bytes`. */
export interface SimRegion {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly window: Uint8Array;
}

interface SimSocketOptions {
  process: Process;
  region: SimRegion;
  carryPool: BlockPool;
  flusher: SimFlusher;
}

/**
 * A connection's driver, which behaves towards its core as the production driver (io/stream-socket.ts) does: what
 * is not taken is carried over, reading stops, and it is fed again through the region at the end of a turn.
 */
export class SimSocket implements EndUser {
  readonly window: Uint8Array;
  readonly #out: OutQueue;
  readonly #handler: SocketHandler;
  readonly #options: SimSocketOptions;
  #end: End | undefined;
  #carry: Block | undefined;
  #carryFrom = 0;
  #carryTo = 0;
  #writingBytes = 0;
  #finishing = false;
  #ended = false;
  #error: Error | undefined;

  constructor(out: OutQueue, handler: SocketHandler, options: SimSocketOptions) {
    this.#out = out;
    this.#handler = handler;
    this.#options = options;
    this.window = options.region.window;
  }

  attach(end: End): void {
    this.#end = end;
    end.open(this);
  }

  markDirty(): void {
    this.#options.flusher.schedule(this);
  }

  flush(): void {
    const end = this.#end;
    if (end === undefined || this.#writingBytes > 0 || this.#ended) return;
    const pieces: Uint8Array[] = [];
    for (let i = 0; i < this.#out.pieces; i += 1) pieces.push(this.#out.piece(i));
    if (pieces.length === 0) {
      if (this.#finishing) this.destroy();
      return;
    }
    this.#writingBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    end.write(pieces, () => this.#written());
  }

  #written(): void {
    if (this.#ended) return;
    this.#out.consume(this.#writingBytes);
    this.#writingBytes = 0;
    this.#handler.drained();
    if (this.#out.pieces > 0 || this.#finishing) this.markDirty();
  }

  read(length: number): boolean {
    const { bytes, start } = this.#options.region;
    const end = start + length;
    if (this.#ended) return false;
    this.#options.flusher.wake();
    if (this.#carry !== undefined) return this.#keep(bytes, start, end);
    const taken = this.#handler.receive(bytes, start, end);
    if (this.#ended || start + taken === end) return !this.#ended;
    return this.#keep(bytes, start + taken, end);
  }

  #keep(bytes: Uint8Array, from: number, end: number): boolean {
    if (this.#carry === undefined) {
      this.#carry = this.#options.carryPool.take();
      this.#carryFrom = this.#carry.start;
      this.#carryTo = this.#carry.start;
    }
    this.#carry.bytes.set(bytes.subarray(from, end), this.#carryTo);
    this.#carryTo += end - from;
    return false;
  }

  resume(): void {
    if (this.#carry !== undefined) this.#options.flusher.scheduleResume(this);
  }

  feedCarry(): void {
    const { bytes, start } = this.#options.region;
    while (this.#carry !== undefined && !this.#ended) {
      const length = this.#carryTo - this.#carryFrom;
      bytes.set(this.#carry.bytes.subarray(this.#carryFrom, this.#carryTo), start);
      const taken = this.#handler.receive(bytes, start, start + length);
      this.#carryFrom += taken;
      if (taken < length || this.#ended) return;
      this.#releaseCarry();
      this.#end?.resume();
    }
  }

  #releaseCarry(): void {
    if (this.#carry !== undefined) this.#options.carryPool.give(this.#carry);
    this.#carry = undefined;
  }

  finish(): void {
    if (this.#finishing || this.#ended) return;
    this.#finishing = true;
    this.#options.process.after(limits.finishMsMax, () => this.destroy());
    this.markDirty();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#end?.close(false);
    this.#finish();
  }

  ended(error: Error | undefined): void {
    this.destroy(error);
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#releaseCarry();
    this.#out.clear();
    this.#writingBytes = 0;
    this.#handler.ended(this.#error);
  }
}
