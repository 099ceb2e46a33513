/** Bytes in the order in which they came, as many as were set aside for them at the start. */
export class ByteRing {
  readonly #bytes: Uint8Array;
  #head = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get free(): number {
    return this.#bytes.length - this.#length;
  }

  /** Takes all of them or, if there is no room for all, none. */
  push(bytes: Uint8Array): boolean {
    if (bytes.length > this.free) return false;
    const at = (this.#head + this.#length) % this.#bytes.length;
    const first = bytes.subarray(0, this.#bytes.length - at);
    this.#bytes.set(first, at);
    this.#bytes.set(bytes.subarray(first.length), 0);
    this.#length += bytes.length;
    return true;
  }

  /** Copies the oldest bytes into `into`, as many as fit; how many those are. They stay until `drop`. */
  peek(into: Uint8Array): number {
    const count = Math.min(into.length, this.#length);
    const first = this.#bytes.subarray(this.#head, this.#head + count);
    into.set(first);
    into.set(this.#bytes.subarray(0, count - first.length), first.length);
    return count;
  }

  /** Lets go of the oldest bytes. */
  drop(count: number): void {
    this.#head = (this.#head + count) % this.#bytes.length;
    this.#length -= count;
  }
}
