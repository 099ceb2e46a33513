import type net from "node:net";
import { getSystemErrorName } from "node:util";
import type { Block, BlockPool } from "../base/blocks.ts";
import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { hasPeerClosed } from "./peer-closed.ts";
import type { OnRead } from "./raw-socket.ts";
import { RawWriter } from "./raw-writer.ts";
import type { ReceiveRegion } from "./receive-region.ts";
import type { TurnFlusher } from "./turn-flusher.ts";

const NOTHING = [new Uint8Array(0)];
const nobodyWaits = (): void => {};

/** The sans-IO side of a connection. */
export interface StreamHandler {
  /** Takes bytes [start, end); returns how many: fewer leaves the rest for `StreamSocket.resume()`. */
  receive(bytes: Uint8Array, start: number, end: number): number;
  /** Bytes still to come of the message that has begun, as far as known; for `turnBytes`. */
  readonly unfinishedBytes?: number;
  /** Bytes of the queue went out: there is room again. */
  drained(): void;
  /** The peer sends nothing more. True: it waits for answers, and `finish` follows them; else it is hung up on. */
  inputEnded?(): boolean;
  /** The connection is gone; said once, last. */
  ended(error: Error | undefined): void;
}

interface StreamSocketOptions {
  region: ReceiveRegion;
  /** Lends the memory that holds what a stalled handler did not take. */
  carryPool: BlockPool;
  flusher: TurnFlusher;
  /** What a read of many short messages leads to is sent behind each that ends after so many bytes, not at its end. */
  turnBytes?: number;
  /** Writes through the socket's stream even where its handle could be written to; for tests of that way. */
  plain?: boolean;
  /** Is told, for the log, of an error of the handler that is the connection's end. */
  failed?: ((error: NswapError) => void) | undefined;
}

/**
 * One connection: bytes in from the shared region to the handler, bytes out of an OutQueue once a turn.
 *
 *     socket -> region -> handler.receive          handler -> OutQueue -> (end of turn) one writev -> socket
 *                  \-> carry, socket paused, when the handler takes less than all
 */
export class StreamSocket {
  readonly #out: OutQueue;
  readonly #handler: StreamHandler;
  readonly #options: StreamSocketOptions;
  readonly #onWritten = (status: number): void => this.#written(status);
  #socket: net.Socket | undefined;
  #writer: RawWriter | undefined;
  #carry: Block | undefined;
  #carryFrom = 0;
  #carryTo = 0;
  /** From when on the system may be asked whether anybody is there. */
  #lookMs = 0;
  /** The other side sends nothing more and waits for answers. */
  #inputEnded = false;
  #writingBytes = 0;
  #finishing = false;
  #ended = false;
  #error: Error | undefined;

  constructor(out: OutQueue, handler: StreamHandler, options: StreamSocketOptions) {
    this.#out = out;
    this.#handler = handler;
    this.#options = options;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes given to the system so far and not yet taken by it. */
  get writingBytes(): number {
    return this.#writingBytes;
  }

  /** Takes a socket over: `make` is given the callback for what is read. */
  attach(make: (region: ReceiveRegion, onRead: OnRead) => net.Socket): void {
    const socket = make(this.#options.region, (length) => this.#onRead(length));
    this.#socket = socket;
    socket.setNoDelay(true);
    // Or Node would close our side as soon as the peer closes its own.
    if (this.#handler.inputEnded !== undefined) socket.allowHalfOpen = true;
    socket.once("connect", () => this.markDirty());
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("end", () => {
      this.#inputEnded = true;
      if (this.#finishing || this.#handler.inputEnded?.() === true) return;
      // What is still queued can only go to a peer that reads; both sides of our own protocols close whole.
      this.destroy();
    });
    socket.on("close", () => this.#finish());
  }

  /** Asks for a flush at the end of the turn. */
  markDirty(): void {
    this.#options.flusher.schedule(this);
  }

  /** Writes what is queued, in one system call where the system takes it. */
  flush(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#writingBytes > 0 || this.#ended || socket.connecting) return;
    const count = this.#out.pieces;
    if (count === 0) {
      if (this.#finishing) socket.end();
      return;
    }
    const pieces: Uint8Array[] = [];
    for (let i = 0; i < count; i += 1) {
      pieces.push(this.#out.piece(i));
      this.#writingBytes += pieces[i]!.length;
    }
    if (this.#options.plain !== true) this.#writer ??= RawWriter.of(socket);
    if (this.#writer === undefined) this.#writeThrough(socket, pieces);
    else this.#writeRaw(this.#writer, pieces);
  }

  #writeRaw(writer: RawWriter, pieces: Uint8Array[]): void {
    const outcome = writer.write(pieces, this.#onWritten);
    if (outcome === "taken") this.#written(0);
    else if (outcome !== "pending") this.#written(outcome.status);
  }

  /** The way through the socket's stream, for a Node whose insides are others. */
  #writeThrough(socket: net.Socket, pieces: Uint8Array[]): void {
    socket.cork();
    for (const [i, piece] of pieces.entries()) {
      if (i < pieces.length - 1) socket.write(piece);
      else socket.write(piece, (error) => !error && this.#written(0));
    }
    socket.uncork();
  }

  #written(status: number): void {
    if (this.#ended) return;
    if (status < 0) return this.#failed(status);
    this.#out.consume(this.#writingBytes);
    this.#writingBytes = 0;
    this.#drained();
    if (this.#ended) return;
    if (this.#out.pieces > 0 || this.#finishing) this.markDirty();
  }

  #failed(status: number): void {
    this.destroy(new Error(`write failed: ${getSystemErrorName(status)}`));
  }

  #onRead(length: number): boolean {
    const { bytes, start } = this.#options.region;
    const end = start + length;
    if (this.#ended) return false;
    this.#options.flusher.receiving();
    const taken = this.#carry === undefined ? this.#feed(bytes, start, end) : 0;
    const goesOn =
      start + taken === end || this.#ended ? !this.#ended : this.#keep(bytes, start + taken, end);
    // Whatever came may leave the core something to do, by the end of the turn.
    this.#options.flusher.received(length);
    return goesOn;
  }

  #feed(bytes: Uint8Array, start: number, end: number): number {
    const { turnBytes = end - start, flusher } = this.#options;
    let at = start;
    let to = Math.min(end, start + turnBytes);
    for (;;) {
      at += this.#receive(bytes, at, to);
      if (at < to || to === end || this.#ended) return at - start;
      const left = this.#handler.unfinishedBytes ?? 0;
      if (left === 0) flusher.sendEarly();
      if (this.#ended) return at - start;
      // Long messages are work enough, and belong together.
      to = left > turnBytes ? end : Math.min(end, at + (left > 0 ? left : turnBytes));
    }
  }

  #receive(bytes: Uint8Array, start: number, end: number): number {
    try {
      return this.#handler.receive(bytes, start, end);
    } catch (error) {
      this.#handlerFailed(error);
      return end - start;
    }
  }

  #drained(): void {
    try {
      this.#handler.drained();
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  /**
   * What a handler finds no room for ends its own connection and no other. A broken invariant, as anything else that
   * is no error of ours, is the end of the process: its state is not to be trusted.
   */
  #handlerFailed(error: unknown): void {
    if (!(error instanceof NswapError)) throw error;
    this.#options.failed?.(error);
    this.destroy(error);
  }

  #keep(bytes: Uint8Array, from: number, end: number): boolean {
    try {
      this.#carry ??= this.#newCarry();
    } catch (error) {
      this.destroy(error as Error);
      return false;
    }
    if (this.#carryTo + (end - from) > this.#carry.start + this.#carry.size) {
      this.destroy(new Error("read beyond the room for what is carried over"));
      return false;
    }
    this.#carry.bytes.set(bytes.subarray(from, end), this.#carryTo);
    this.#carryTo += end - from;
    return false;
  }

  #newCarry(): Block {
    const carry = this.#options.carryPool.take();
    this.#carryFrom = carry.start;
    this.#carryTo = carry.start;
    this.#lookMs = performance.now() + limits.stalledMsBeforeLook;
    return carry;
  }

  /** The handler can take bytes again: what was carried over is fed to it at the end of the turn. */
  resume(): void {
    if (this.#carry !== undefined) this.#options.flusher.scheduleResume(this);
  }

  /**
   * While bytes are carried over, or after the other side's last, the socket is not read, and its end not seen: ends it
   * if a write of nothing fails, which tells of a Unix socket whose peer has closed, and of TCP once it was reset. Of
   * TCP that was closed in order the system's tables tell, which cost more to ask: `atOnce`, or not for a short wait.
   */
  probe(atOnce = false): void {
    const stalled = this.#carry !== undefined;
    if (this.#ended || !(stalled || this.#inputEnded)) return;
    const outcome = this.#writingBytes > 0 ? undefined : this.#writer?.write(NOTHING, nobodyWaits);
    if (typeof outcome === "object") return this.#failed(outcome.status);
    // Who sends nothing more looks there like one who has closed.
    if (!stalled || !(atOnce || performance.now() >= this.#lookMs)) return;
    if (hasPeerClosed(this.#socket!)) this.destroy(new Error("the other side has closed"));
  }

  /** Feeds what was carried over, through the region: only outside of any other socket's read. */
  feedCarry(): void {
    const { bytes, start } = this.#options.region;
    while (this.#carry !== undefined && !this.#ended) {
      const length = this.#carryTo - this.#carryFrom;
      bytes.set(this.#carry.bytes.subarray(this.#carryFrom, this.#carryTo), start);
      const taken = this.#receive(bytes, start, start + length);
      this.#carryFrom += taken;
      if (taken < length || this.#ended) return;
      this.#releaseCarry();
      this.#socket?.resume();
    }
  }

  #releaseCarry(): void {
    if (this.#carry !== undefined) this.#options.carryPool.give(this.#carry);
    this.#carry = undefined;
  }

  /** Sends what is queued, then closes; a peer that does not take it is not waited for long. */
  finish(): void {
    if (this.#finishing || this.#ended) return;
    this.#finishing = true;
    setTimeout(() => this.destroy(), limits.finishMsMax).unref();
    this.markDirty();
  }

  /** Closes at once; what is queued is dropped. */
  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket?.destroy();
    this.#finish();
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
