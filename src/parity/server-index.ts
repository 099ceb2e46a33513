import { IDENTITY_BYTES, OWN_STORE, SERVER_INDEX_MAX } from "../../proto/peer/index.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import { NO_SERVER, type ServerTable } from "./server-table.ts";

/** In place of a number: the index means a server, which got no number so far. */
const NO_NUMBER = 0xffff;

/**
 * What the indices of servers mean on one connection (SERVERS), as numbers of the server table. A connection has its
 * share of these, and no more; an identity that found none is looked up again when its index is used.
 */
export class ServerIndex {
  readonly #servers: ServerTable;
  #numbers = new Uint16Array(16);
  #identities = new Uint8Array(16 * IDENTITY_BYTES);
  /** Numbers that it holds. */
  #held = 0;

  constructor(servers: ServerTable) {
    this.#servers = servers;
  }

  /** From now on the index, at most SERVER_INDEX_MAX, means this identity. */
  define(index: number, identity: Uint8Array): void {
    if (index >= this.#numbers.length) this.#grow(Math.min(2 * index, SERVER_INDEX_MAX) + 1);
    const before = this.#numbers[index]!;
    this.#identities.set(identity, index * IDENTITY_BYTES);
    this.#numbers[index] = NO_NUMBER;
    this.#resolve(index);
    // After that, so that the number of the same identity stays what it is.
    this.#release(before);
    if (this.#numbers[index] === NO_NUMBER) this.#resolve(index);
  }

  #grow(length: number): void {
    const numbers = new Uint16Array(length);
    const identities = new Uint8Array(length * IDENTITY_BYTES);
    numbers.set(this.#numbers);
    identities.set(this.#identities);
    this.#numbers = numbers;
    this.#identities = identities;
  }

  #resolve(index: number): void {
    if (this.#held >= limits.parityServersPerConnectionMax) return;
    const at = index * IDENTITY_BYTES;
    const number = this.#servers.take(toHex(this.#identities.subarray(at, at + IDENTITY_BYTES)));
    if (number === NO_SERVER) return;
    this.#held += 1;
    this.#numbers[index] = number;
  }

  #release(number: number): void {
    if (number === NO_SERVER || number === NO_NUMBER) return;
    this.#held -= 1;
    this.#servers.release(number);
  }

  /** The number of the server that the index means, held once more; NO_SERVER if it means none, or has no number. */
  hold(index: number): number {
    if (this.#numbers[index] === NO_NUMBER) this.#resolve(index);
    const number = this.#numbers[index] ?? NO_SERVER;
    return number === NO_NUMBER ? NO_SERVER : this.#servers.hold(number);
  }

  /** As `hold`, for a source, which may be OWN_STORE. */
  holdSource(index: number): number {
    return index === OWN_STORE ? OWN_STORE : this.hold(index);
  }

  /** The connection is over. */
  clear(): void {
    for (const number of this.#numbers) this.#release(number);
    this.#numbers.fill(NO_SERVER);
  }
}
