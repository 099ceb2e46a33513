import { Prng } from "../../src/base/prng.ts";
import { NbdPipe } from "./nbd-pipe.ts";
import { nbd, type RawAddress } from "./raw-nbd.ts";

const PAGE_BYTES = 4096;
const NOISE_BYTES = 64 * 1024;
const FAULTS_KEPT_MAX = 20;
/** Generations of a page: never written or zeroed; after a failed write nobody knows. */
const ZERO = 0;
const UNKNOWN = 0xffff_ffff;

export interface VerifyingLoadOptions {
  readonly address: RawAddress;
  /** Its range of the device, nobody else's. */
  readonly firstPage: number;
  readonly pages: number;
  /** Requests in flight. */
  readonly depth: number;
  readonly seed: number;
  /** Share of requests that read, 0 to 1; the rest writes, and zeroes a little. Default 0.5. */
  readonly readShare?: number;
}

/** A request that took long. */
export interface SlowRequest {
  readonly ms: number;
  readonly what: string;
}

/** What a load saw between two looks. */
export interface LoadWindow {
  readonly requests: number;
  readonly slowest: SlowRequest;
  /** Latencies of reads of one page, in ms, in no order. */
  readonly readsMs: number[];
}

/**
 * Writes pages that carry their place and generation, and reads them back: an old page is as wrong as a broken one.
 * Several requests are in flight, never two of one page. What goes wrong is counted and kept, and the load goes on.
 */
export class VerifyingLoad {
  /** Wrong bytes and errors: the first of them in words. */
  readonly faults: string[] = [];
  wrongPages = 0;
  errors = 0;
  requests = 0;
  readonly #options: VerifyingLoadOptions;
  readonly #pipe: NbdPipe;
  readonly #prng: Prng;
  readonly #noise: Buffer;
  readonly #generations: Uint32Array;
  readonly #busy: Uint8Array;
  readonly #inFlight = new Set<Promise<void>>();
  #workers: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #generation = 0;
  #slowest: SlowRequest = { ms: 0, what: "nothing" };
  #readsMs: number[] = [];
  #windowRequests = 0;

  private constructor(options: VerifyingLoadOptions, pipe: NbdPipe) {
    this.#options = options;
    this.#pipe = pipe;
    this.#prng = new Prng(options.seed);
    this.#noise = Buffer.alloc(NOISE_BYTES + PAGE_BYTES);
    for (let at = 0; at < this.#noise.length; at += 4) this.#noise.writeUInt32LE(this.#prng.next(), at);
    this.#generations = new Uint32Array(options.pages);
    this.#busy = new Uint8Array(options.pages);
  }

  /** Connects; nothing is sent yet. The range must read as zeroes. */
  static async connect(options: VerifyingLoadOptions): Promise<VerifyingLoad> {
    return new VerifyingLoad(options, await NbdPipe.connect(options.address));
  }

  /** Writes every page once. */
  async fill(): Promise<void> {
    await this.#sweep((page, pages) => this.#write(page, pages));
  }

  /** Reads every page once. */
  async verifyAll(): Promise<void> {
    await this.#sweep((page, pages) => this.#read(page, pages));
  }

  start(): void {
    this.#stopping = false;
    this.#workers = Promise.all(Array.from({ length: this.#options.depth }, () => this.#work()));
  }

  /** Waits for the requests that are in flight now, while others go on. */
  async passed(): Promise<void> {
    await Promise.all(this.#inFlight);
  }

  /** Waits for what is in flight. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#workers;
  }

  close(): void {
    this.#pipe.close();
  }

  /** What was seen since the last call. */
  takeWindow(): LoadWindow {
    const window = { requests: this.#windowRequests, slowest: this.#slowest, readsMs: this.#readsMs };
    this.#slowest = { ms: 0, what: "nothing" };
    this.#readsMs = [];
    this.#windowRequests = 0;
    return window;
  }

  async #sweep(step: (page: number, pages: number) => Promise<void>): Promise<void> {
    const stride = 32;
    let next = 0;
    const walk = async () => {
      while (next < this.#options.pages) {
        const page = next;
        next += stride;
        await step(page, Math.min(stride, this.#options.pages - page));
      }
    };
    await Promise.all(Array.from({ length: this.#options.depth }, walk));
  }

  async #work(): Promise<void> {
    while (!this.#stopping) {
      const pages = this.#prng.chance(0.05) ? 1 + this.#prng.below(32) : 1;
      const page = this.#prng.below(this.#options.pages - pages + 1);
      if (this.#busy.subarray(page, page + pages).some((each) => each !== 0)) continue;
      this.#busy.fill(1, page, page + pages);
      const request = this.#one(page, pages);
      this.#inFlight.add(request);
      await request;
      this.#inFlight.delete(request);
      this.#busy.fill(0, page, page + pages);
    }
  }

  #one(page: number, pages: number): Promise<void> {
    if (this.#prng.chance(this.#options.readShare ?? 0.5)) return this.#read(page, pages);
    return this.#prng.chance(0.04) ? this.#zero(page, pages) : this.#write(page, pages);
  }

  async #read(page: number, pages: number): Promise<void> {
    const data = await this.#timed("read", nbd.command.read, page, pages);
    if (data === undefined) return;
    for (let i = 0; i < pages; i += 1) {
      const generation = this.#generations[page + i]!;
      if (generation === UNKNOWN) continue;
      const got = data.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      if (got.equals(this.#content(page + i, generation))) continue;
      this.wrongPages += 1;
      this.#fault(`page ${page + i}: ${this.#tell(got, page + i, generation)}`);
    }
  }

  async #write(page: number, pages: number): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const contents = Array.from({ length: pages }, (_, i) => this.#content(page + i, generation));
    const done = await this.#timed("write", nbd.command.write, page, pages, Buffer.concat(contents));
    this.#generations.fill(done === undefined ? UNKNOWN : generation, page, page + pages);
  }

  async #zero(page: number, pages: number): Promise<void> {
    const done = await this.#timed("write zeroes", nbd.command.writeZeroes, page, pages);
    this.#generations.fill(done === undefined ? UNKNOWN : ZERO, page, page + pages);
  }

  /** A request; undefined if it failed. */
  async #timed(
    what: string,
    command: number,
    page: number,
    pages: number,
    payload?: Buffer,
  ): Promise<Buffer | undefined> {
    const offset = (this.#options.firstPage + page) * PAGE_BYTES;
    const request = { command, offset, length: pages * PAGE_BYTES };
    const startMs = performance.now();
    try {
      const { error, data } = await this.#pipe.request(
        payload === undefined ? request : { ...request, payload },
      );
      this.#note(what, page, pages, performance.now() - startMs);
      if (error === 0) return data;
      this.errors += 1;
      this.#fault(`${what} of ${pages} pages from ${page}: error ${error}`);
    } catch (error) {
      this.errors += 1;
      this.#stopping = true;
      this.#fault(`${what} of ${pages} pages from ${page}: ${(error as Error).message}`);
    }
    return undefined;
  }

  #note(what: string, page: number, pages: number, ms: number): void {
    this.requests += 1;
    this.#windowRequests += 1;
    if (pages === 1 && what === "read") this.#readsMs.push(ms);
    if (ms > this.#slowest.ms) this.#slowest = { ms, what: `${what} of ${pages} pages from ${page}` };
  }

  #fault(text: string): void {
    if (this.faults.length < FAULTS_KEPT_MAX) this.faults.push(text);
  }

  /** Noise from a place of its own, behind page number, generation and seed. */
  #content(page: number, generation: number): Buffer {
    const content = Buffer.alloc(PAGE_BYTES);
    if (generation === ZERO) return content;
    const from = Math.imul(page + 1, 40_503) ^ Math.imul(generation, 30_011);
    this.#noise.copy(content, 12, (from >>> 0) % NOISE_BYTES);
    content.writeUInt32LE(page, 0);
    content.writeUInt32LE(generation, 4);
    content.writeUInt32LE(this.#options.seed >>> 0, 8);
    return content;
  }

  /** What a page is that should be another. */
  #tell(got: Buffer, page: number, generation: number): string {
    const [place, age] = [got.readUInt32LE(0), got.readUInt32LE(4)];
    const due = generation === ZERO ? "zeroes" : `generation ${generation}`;
    if (got.every((byte) => byte === 0)) return `zeroes, ${due} is due`;
    if (place < this.#options.pages && got.equals(this.#content(place, age)))
      return `page ${place} of generation ${age}${place === page ? ", an old one" : ""}, ${due} is due`;
    return `bytes that were never written, ${due} is due`;
  }
}

/** The value that a share of a list does not exceed; 0 of an empty list. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
