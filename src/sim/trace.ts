import type { EventQueue } from "./event-queue.ts";

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** What happened, as lines for people (if wanted) and as a running hash that tells whether two runs were the same. */
export class Trace {
  #hash = FNV_OFFSET;
  readonly #queue: EventQueue;
  readonly #print: ((line: string) => void) | undefined;

  constructor(queue: EventQueue, print?: (line: string) => void) {
    this.#queue = queue;
    this.#print = print;
  }

  /** Hash of all events so far, with their times. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /** Something that is hashed only: bytes that moved, too many to print. */
  count(what: number, value: number): void {
    this.#mix(what);
    this.#mix(value);
    this.#mix(Math.floor(this.#queue.nowMs * 1000));
  }

  /** Something worth a line. */
  event(text: string): void {
    this.#mix(Math.floor(this.#queue.nowMs * 1000));
    for (let i = 0; i < text.length; i += 1) this.#mix(text.charCodeAt(i));
    this.#print?.(`${this.#queue.nowMs.toFixed(3).padStart(12)}  ${text}`);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, FNV_PRIME);
  }
}
