import { invariant } from "./assert.ts";
import type { Block, BlockPool } from "./blocks.ts";
import type { ByteSink } from "./byte-sink.ts";
import type { Traffic } from "./traffic.ts";

interface Filled {
  block: Block;
  /** Absolute offsets in block.bytes: [sent, filled) is still to be sent. */
  sent: number;
  filled: number;
}

/**
 * Bytes on their way to one connection, in blocks of a pool.
 *
 *     segments[0]        …        segments[n-1]
 *     |sent####filled|            |sent####filled···room|
 *
 * A core reserves at the end; the connection's driver peeks at the front, writes, and consumes what was written.
 * An empty queue holds no block.
 */
export class OutQueue implements ByteSink {
  readonly #pool: BlockPool;
  readonly #segments: Filled[] = [];
  readonly #spare: Filled[] = [];
  readonly #onDirty: (() => void) | undefined;
  readonly #traffic: Traffic | undefined;
  #last: Filled | undefined;
  #queuedBytes = 0;

  /** `onDirty` is called when the first bytes come into an empty queue; `traffic` counts all that comes. */
  constructor(pool: BlockPool, onDirty?: () => void, traffic?: Traffic) {
    this.#pool = pool;
    this.#onDirty = onDirty;
    this.#traffic = traffic;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** True while a quarter of the pool is left: what is small and cannot wait (reads, signs of life) may use that. */
  get poolIsRoomy(): boolean {
    return this.#pool.left * 3 >= this.#pool.taken;
  }

  get bytes(): Uint8Array {
    invariant(this.#last !== undefined, "bytes are asked for after a reserve");
    return this.#last.block.bytes;
  }

  get view(): DataView {
    invariant(this.#last !== undefined, "the view is asked for after a reserve");
    return this.#last.block.view;
  }

  /** Bytes that the block at hand has left: what may be reserved without another one. */
  get room(): number {
    const last = this.#last;
    return last === undefined ? 0 : last.block.start + last.block.size - last.filled;
  }

  /** False if a reserve of so many bytes would find no block. */
  fits(length: number): boolean {
    return this.room >= length || this.#pool.left > 0;
  }

  reserve(length: number): number {
    // Nothing is nothing: it takes no block and wakes nobody.
    if (length === 0) return this.#last?.filled ?? 0;
    let last = this.#last;
    if (last === undefined || last.filled + length > last.block.start + last.block.size) {
      last = this.#extend(length);
    }
    const at = last.filled;
    last.filled += length;
    const wasEmpty = this.#queuedBytes === 0;
    this.#queuedBytes += length;
    if (this.#traffic !== undefined) this.#traffic.bytes += length;
    if (wasEmpty) this.#onDirty?.();
    return at;
  }

  /** A frame of this type begins (FrameSink). */
  frameBegun(type: number): void {
    if (this.#traffic !== undefined) this.#traffic.frames[type]! += 1;
  }

  #extend(length: number): Filled {
    const block = this.#pool.take();
    invariant(length <= block.size, "a reservation fits a block");
    const segment = this.#spare.pop() ?? { block, sent: 0, filled: 0 };
    segment.block = block;
    segment.sent = block.start;
    segment.filled = block.start;
    this.#segments.push(segment);
    this.#last = segment;
    return segment;
  }

  /** Number of contiguous pieces that wait to be sent. */
  get pieces(): number {
    return this.#segments.length;
  }

  /** The i-th piece as a view of its own, to be handed to a socket; valid until it is consumed. */
  piece(i: number): Uint8Array {
    const segment = this.#segments[i]!;
    return segment.block.bytes.subarray(segment.sent, segment.filled);
  }

  /** The front `length` bytes were sent. */
  consume(length: number): void {
    invariant(length <= this.#queuedBytes, "no more is consumed than is queued");
    this.#queuedBytes -= length;
    let rest = length;
    while (this.#segments.length > 0) {
      const segment = this.#segments[0]!;
      const here = Math.min(rest, segment.filled - segment.sent);
      segment.sent += here;
      rest -= here;
      if (segment.sent < segment.filled) break;
      this.#segments.shift();
      this.#release(segment);
    }
  }

  #release(segment: Filled): void {
    if (segment === this.#last) this.#last = undefined;
    this.#pool.give(segment.block);
    this.#spare.push(segment);
  }

  /** Forgets everything, as when the connection is gone. */
  clear(): void {
    for (const segment of this.#segments) this.#release(segment);
    this.#segments.length = 0;
    this.#queuedBytes = 0;
  }
}
