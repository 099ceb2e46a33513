import type { NodeRecord } from "./node-record.ts";

/**
 * Nodes that were silent for so long that they are in no table any more, each as it was last heard of. A split of the
 * network may have lasted longer, and then nobody else need know where they are. Bounded, oldest out.
 */
export class ForgottenNodes {
  readonly #records = new Map<string, NodeRecord>();

  constructor(private readonly countMax: number) {}

  get records(): Iterable<NodeRecord> {
    return this.#records.values();
  }

  has(identity: string): boolean {
    return this.#records.has(identity);
  }

  add(record: NodeRecord): void {
    const [oldest] = this.#records.keys();
    if (oldest !== undefined && this.#records.size >= this.countMax) this.#records.delete(oldest);
    this.#records.set(record.identity, record);
  }

  /** Somebody else has the address. */
  strangerAt(control: string): void {
    for (const [key, other] of this.#records) if (other.control === control) this.#records.delete(key);
  }

  /** A node is heard of: it is not to be looked for, nor are those whose place or name it has. */
  heard({ identity, control, name, role }: NodeRecord): void {
    for (const [key, other] of this.#records) {
      const isReplaced = other.control === control || (other.name === name && other.role === role);
      if (key === identity || isReplaced) this.#records.delete(key);
    }
  }
}
