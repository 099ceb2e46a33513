import { invariant } from "./assert.ts";
import { NswapError } from "./errors.ts";
import { limits } from "./limits.ts";

/** A region for bytes on their way in or out: [start, start + size) of `bytes`. */
export interface Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly size: number;
}

/**
 * Lends blocks. `take` throws LIMIT_REACHED when the pool is exhausted; last given is first taken, to keep warm
 * memory warm.
 */
export interface BlockPool {
  take(): Block;
  give(block: Block): void;
  readonly taken: number;
  /** Blocks that can still be taken. */
  readonly left: number;
}

/** Blocks cut from one region of an arena. */
export class ArenaBlockPool implements BlockPool {
  readonly #free: Block[] = [];
  readonly #count: number;

  constructor(region: {
    bytes: Uint8Array;
    view: DataView;
    start: number;
    count: number;
    blockBytes?: number;
  }) {
    const size = region.blockBytes ?? limits.sendBlockBytes;
    this.#count = region.count;
    for (let i = region.count - 1; i >= 0; i -= 1) {
      this.#free.push({ bytes: region.bytes, view: region.view, start: region.start + i * size, size });
    }
  }

  get taken(): number {
    return this.#count - this.#free.length;
  }

  get left(): number {
    return this.#free.length;
  }

  take(): Block {
    const block = this.#free.pop();
    if (block === undefined)
      throw new NswapError("LIMIT_REACHED", `all ${this.#count} send blocks are in use`);
    return block;
  }

  give(block: Block): void {
    invariant(this.taken > 0, "a block is given back once");
    this.#free.push(block);
  }
}

/** Blocks with memory of their own, made when first needed and then kept, up to `countMax`. */
export class HeapBlockPool implements BlockPool {
  readonly #free: Block[] = [];
  readonly #countMax: number;
  readonly #blockBytes: number;
  #made = 0;

  constructor(countMax: number, blockBytes: number = limits.sendBlockBytes) {
    this.#countMax = countMax;
    this.#blockBytes = blockBytes;
  }

  get taken(): number {
    return this.#made - this.#free.length;
  }

  get left(): number {
    return this.#countMax - this.taken;
  }

  /** Makes so many blocks now, to be lent later; returns their memory. */
  prepare(count: number): Uint8Array[] {
    const blocks = Array.from({ length: Math.min(count, this.#countMax - this.#made) }, () => this.#make());
    this.#free.push(...blocks);
    return blocks.map((block) => block.bytes);
  }

  take(): Block {
    const kept = this.#free.pop();
    if (kept !== undefined) return kept;
    if (this.#made === this.#countMax) {
      throw new NswapError("LIMIT_REACHED", `all ${this.#countMax} send blocks are in use`);
    }
    return this.#make();
  }

  #make(): Block {
    this.#made += 1;
    const buffer = new ArrayBuffer(this.#blockBytes);
    return { bytes: new Uint8Array(buffer), view: new DataView(buffer), start: 0, size: this.#blockBytes };
  }

  give(block: Block): void {
    invariant(this.taken > 0, "a block is given back once");
    this.#free.push(block);
  }
}
