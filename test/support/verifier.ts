import { randomFillSync } from "node:crypto";
import { nbd, type RawAddress, RawNbd } from "./raw-nbd.ts";

const PAGE_BYTES = 4096;

/** What a verifying client saw. */
export interface VerifierResult {
  readonly rounds: number;
  readonly slowestMs: number;
}

/**
 * A well-behaved client that writes random pages into its own range and reads back what it wrote before,
 * for as long as others misbehave. Any error, wrong byte or disconnect is kept and thrown by `stop`.
 */
export class Verifier {
  readonly #client: RawNbd;
  readonly #offset: number;
  readonly #expected: (Buffer | undefined)[];
  readonly #done: Promise<void>;
  #isStopping = false;
  #rounds = 0;
  #slowestMs = 0;
  #failure: unknown;

  private constructor(client: RawNbd, offset: number, pages: number) {
    this.#client = client;
    this.#offset = offset;
    this.#expected = new Array(pages).fill(undefined);
    this.#done = this.#run().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Starts on the range of `pages` pages from byte `offset`, which must be nobody else's. */
  static async start(address: RawAddress, offset: number, pages = 256): Promise<Verifier> {
    return new Verifier(await RawNbd.ready(address), offset, pages);
  }

  get rounds(): number {
    return this.#rounds;
  }

  /** Stops; throws what went wrong, or when not even one round was made. */
  async stop(): Promise<VerifierResult> {
    this.#isStopping = true;
    await this.#done;
    this.#client.close();
    if (this.#failure !== undefined)
      throw new Error("a well-behaved client was harmed", { cause: this.#failure });
    if (this.#rounds === 0) throw new Error("the verifying client did not finish one round");
    return { rounds: this.#rounds, slowestMs: this.#slowestMs };
  }

  async #run(): Promise<void> {
    for (let at = 0; !this.#isStopping; at = (at + 7) % this.#expected.length) {
      const startMs = performance.now();
      await this.#checkAndRewrite(at);
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startMs);
      this.#rounds++;
    }
  }

  async #checkAndRewrite(at: number): Promise<void> {
    const offset = BigInt(this.#offset + at * PAGE_BYTES);
    const expected = this.#expected[at];
    if (expected !== undefined) {
      const { error, data } = await this.#client.request({
        command: nbd.command.read,
        offset,
        length: PAGE_BYTES,
      });
      if (error !== 0) throw new Error(`read at ${offset}: error ${error}`);
      if (!data.equals(expected)) throw new Error(`read at ${offset}: wrong bytes`);
    }
    const payload = randomFillSync(Buffer.alloc(PAGE_BYTES));
    const { error } = await this.#client.request({ command: nbd.command.write, offset, payload });
    if (error !== 0) throw new Error(`write at ${offset}: error ${error}`);
    this.#expected[at] = payload;
  }
}
