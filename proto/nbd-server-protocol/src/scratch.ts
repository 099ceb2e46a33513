/**
 * Collects one header whose bytes arrive in pieces. Invariant: 0 <= filled <= wanted <= bytes.length, and
 * bytes[0, filled) are the header's first bytes.
 */
export class Scratch {
  readonly bytes: Uint8Array;
  #filled = 0;
  #wanted = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  /** How many bytes of the header are here. */
  get filled(): number {
    return this.#filled;
  }

  /** True once the whole header is in `bytes`. */
  get complete(): boolean {
    return this.#filled === this.#wanted;
  }

  /** Starts on a header of `wanted` bytes. */
  expect(wanted: number): void {
    this.#wanted = wanted;
    this.#filled = 0;
  }

  /** Takes what is still wanted from source[at, end); returns where it stopped. */
  fill(source: Uint8Array, at: number, end: number): number {
    const count = Math.min(this.#wanted - this.#filled, end - at);
    for (let index = 0; index < count; index++) this.bytes[this.#filled + index] = source[at + index];
    this.#filled += count;
    return at + count;
  }
}
