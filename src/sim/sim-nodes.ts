import { PAGE_BYTES } from "../base/page.ts";
import type { SimNode } from "./sim-node.ts";

/** The servers of a run, those that died with their pages included. */
export class SimNodes {
  readonly #byAddress = new Map<string, SimNode>();
  readonly #living = new Map<string, SimNode>();
  readonly #dead = new Map<string, SimNode>();

  /** Those that run, in the order in which they were started. */
  get living(): SimNode[] {
    return [...this.#byAddress.values()];
  }

  add(node: SimNode): void {
    this.#byAddress.set(node.address, node);
    this.#living.set(node.identity, node);
  }

  bury(node: SimNode): void {
    this.#byAddress.delete(node.address);
    this.#living.delete(node.identity);
    this.#dead.set(node.identity, node);
  }

  lives(identity: string | undefined): boolean {
    return identity !== undefined && this.#living.has(identity);
  }

  byIdentity(identity: string | undefined): SimNode | undefined {
    return identity === undefined ? undefined : this.#living.get(identity);
  }

  /** True if the living server of this identity holds the client's page. */
  holds(server: string | undefined, client: string, pageId: number): boolean {
    return (this.byIdentity(server)?.core.frameOf(client, pageId) ?? -1) >= 0;
  }

  /** A client's page as a server has it, or had it when it died; undefined if it had none. */
  pageOf(server: string, client: string, pageId: number): Uint8Array | undefined {
    const core = (this.#living.get(server) ?? this.#dead.get(server))?.core;
    const frame = core?.frameOf(client, pageId) ?? -1;
    if (core === undefined || frame < 0) return undefined;
    const copy = new Uint8Array(PAGE_BYTES);
    core.readFrame(frame, copy, 0);
    return copy;
  }
}
