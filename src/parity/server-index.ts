import { OWN_STORE, SERVER_INDEX_MAX } from "../../proto/peer/index.ts";
import { NO_SERVER, type ServerTable } from "./server-table.ts";

/** What the indices of servers mean on one connection (SERVERS), as numbers of the server table. */
export class ServerIndex {
  readonly #servers: ServerTable;
  #numbers = new Uint16Array(16);

  constructor(servers: ServerTable) {
    this.#servers = servers;
  }

  /** From now on the index, at most SERVER_INDEX_MAX, means this identity. */
  define(index: number, identity: string): void {
    const fresh = this.#servers.take(identity);
    if (index >= this.#numbers.length) {
      const length = Math.min(2 * index, SERVER_INDEX_MAX) + 1;
      const larger = new Uint16Array(length);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#servers.release(this.#numbers[index]!);
    this.#numbers[index] = fresh;
  }

  /** The number of the server that the index means, held once more; NO_SERVER if it means none. */
  hold(index: number): number {
    return this.#servers.hold(this.#numbers[index] ?? NO_SERVER);
  }

  /** As `hold`, for a source, which may be OWN_STORE. */
  holdSource(index: number): number {
    return index === OWN_STORE ? OWN_STORE : this.hold(index);
  }

  /** The connection is over. */
  clear(): void {
    for (const number of this.#numbers) this.#servers.release(number);
    this.#numbers.fill(NO_SERVER);
  }
}
