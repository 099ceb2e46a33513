import { NbdUsageError } from "./errors.ts";
import { NBD_RESERVE_MAX, type NbdOutput } from "./output.ts";

/**
 * A plain NbdOutput: collects bytes in blocks until `take` hands them over. The blocks given away are the
 * taker's for good; the remainder of the last one is used on, so a block is not refilled where it was taken.
 */
export class BlockOutput implements NbdOutput {
  bytes: Uint8Array;
  view: DataView;
  readonly #blockBytes: number;
  readonly #full: Uint8Array[] = [];
  /** bytes[#start, #end) is written and not yet taken. */
  #start = 0;
  #end = 0;
  #fullBytes = 0;

  /** @param blockBytes size of a block; at least NBD_RESERVE_MAX. */
  constructor(blockBytes = 64 * 1024) {
    if (!Number.isInteger(blockBytes) || blockBytes < NBD_RESERVE_MAX) {
      throw new NbdUsageError(`a block of ${blockBytes} bytes; at least ${NBD_RESERVE_MAX} are needed`);
    }
    this.#blockBytes = blockBytes;
    this.bytes = new Uint8Array(blockBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Bytes waiting for `take`. */
  get length(): number {
    return this.#fullBytes + this.#end - this.#start;
  }

  reserve(length: number): number {
    if (this.#end + length > this.#blockBytes) this.#nextBlock();
    const at = this.#end;
    this.#end += length;
    return at;
  }

  /** Appends `data` of any length. */
  append(data: Uint8Array): void {
    for (let from = 0; from < data.length; ) {
      if (this.#end === this.#blockBytes) this.#nextBlock();
      const count = Math.min(data.length - from, this.#blockBytes - this.#end);
      this.bytes.set(data.subarray(from, from + count), this.#end);
      this.#end += count;
      from += count;
    }
  }

  /** Everything written since the last call, in order. */
  take(): Uint8Array[] {
    if (this.#end > this.#start) this.#full.push(this.bytes.subarray(this.#start, this.#end));
    this.#start = this.#end;
    this.#fullBytes = 0;
    return this.#full.splice(0);
  }

  #nextBlock(): void {
    if (this.#end > this.#start) {
      this.#full.push(this.bytes.subarray(this.#start, this.#end));
      this.#fullBytes += this.#end - this.#start;
    }
    this.bytes = new Uint8Array(this.#blockBytes);
    this.view = new DataView(this.bytes.buffer);
    this.#start = 0;
    this.#end = 0;
  }
}
