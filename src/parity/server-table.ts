import { invariant } from "../base/assert.ts";
import { limits } from "../base/limits.ts";

/** No server, or one that is not known. */
export const NO_SERVER = 0;

/**
 * Numbers (1 to limits.parityServersMax) for the identities of memory servers, so that columns can hold them. A number
 * means its identity as long as somebody holds it.
 */
export class ServerTable {
  readonly #numbers = new Map<string, number>();
  readonly #identities: string[] = [""];
  readonly #holds: number[] = [0];
  readonly #free: number[] = [];

  get count(): number {
    return this.#numbers.size;
  }

  /** The number of an identity, held once more; NO_SERVER if there are too many. */
  take(identity: string): number {
    const known = this.#numbers.get(identity);
    if (known !== undefined) return this.hold(known);
    const number = this.#free.pop() ?? this.#identities.length;
    if (number > limits.parityServersMax) return NO_SERVER;
    this.#numbers.set(identity, number);
    this.#identities[number] = identity;
    this.#holds[number] = 1;
    return number;
  }

  /** Holds a number once more and returns it. */
  hold(number: number): number {
    if (number !== NO_SERVER) this.#holds[number]! += 1;
    return number;
  }

  /** Somebody who held the number does no longer. */
  release(number: number): void {
    if (number === NO_SERVER) return;
    invariant(this.#holds[number]! > 0, "a server's number is released as often as it was held");
    this.#holds[number]! -= 1;
    if (this.#holds[number] !== 0) return;
    this.#numbers.delete(this.#identities[number]!);
    this.#identities[number] = "";
    this.#free.push(number);
  }

  /** The identity of a number that is held; "" for NO_SERVER. */
  identity(number: number): string {
    return this.#identities[number]!;
  }
}
