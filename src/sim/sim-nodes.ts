import { PAGE_BYTES } from "../base/page.ts";
import type { Prng } from "../base/prng.ts";
import { Rot } from "./rot.ts";
import type { SimNode } from "./sim-node.ts";

/** A page that a server has. */
export interface HeldPage {
  readonly pageId: number;
  readonly slot: number;
  readonly frame: number;
  readonly page: Uint8Array;
}

/** What a server holds of a client. */
export function pagesOf({ core }: SimNode, client: string): HeldPage[] {
  const pages: HeldPage[] = [];
  core.visitPages((identity, pageId, slot, frame) => {
    if (identity !== client) return;
    const page = new Uint8Array(PAGE_BYTES);
    core.readFrame(frame, page, 0);
    pages.push({ pageId, slot, frame, page });
  });
  return pages;
}

/** Others hear of a server so long after it started. */
const GOSSIP_MS = 700;
/** Nothing having been heard of one for so long, others take it for down. */
const DOWN_MS = 4_000;

/** The servers of a run, those that died with their pages included. */
export class SimNodes {
  readonly rot: Rot;
  readonly #byAddress = new Map<string, SimNode>();
  readonly #living = new Map<string, SimNode>();
  readonly #dead = new Map<string, SimNode>();
  readonly #knownFromMs = new Map<string, number>();
  readonly #diedMs = new Map<string, number>();
  /** What servers had that do not have it any more, although they did not die, by server, client and page. */
  readonly #vanished = new Map<string, Uint8Array>();

  constructor(prng: Prng) {
    this.rot = new Rot(prng);
  }

  /** Those that run, in the order in which they were started. */
  get living(): SimNode[] {
    return [...this.#byAddress.values()];
  }

  add(node: SimNode): void {
    this.#knownFromMs.set(node.identity, node.process.nowMs + GOSSIP_MS);
    this.#byAddress.set(node.address, node);
    this.#living.set(node.identity, node);
  }

  bury(node: SimNode): void {
    this.#byAddress.delete(node.address);
    this.#living.delete(node.identity);
    this.#dead.set(node.identity, node);
    this.#diedMs.set(node.address, node.process.nowMs);
  }

  /** Where membership says that this server is, whether or not it still is; undefined if it has not been heard of. */
  addressKnown(identity: string, nowMs: number): string | undefined {
    const known = (this.#knownFromMs.get(identity) ?? Number.POSITIVE_INFINITY) <= nowMs;
    return known ? (this.#living.get(identity) ?? this.#dead.get(identity))?.address : undefined;
  }

  /** True while others hear of a server at this address, or did lately. */
  isHeard(address: string, nowMs: number): boolean {
    return this.#byAddress.has(address) || nowMs - (this.#diedMs.get(address) ?? nowMs) < DOWN_MS;
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

  vanish(server: string, client: string, pages: readonly HeldPage[]): void {
    for (const { pageId, page } of pages) this.#vanished.set(`${server}/${client}/${pageId}`, page);
  }

  /** True if the server does not have the client's page any more, although it may stand. */
  hasVanished(server: string | undefined, client: string, pageId: number): boolean {
    return this.#vanished.has(`${server}/${client}/${pageId}`) && !this.holds(server, client, pageId);
  }

  /** A client's page as a server has it, or had it last; undefined if it had none. */
  pageOf(server: string, client: string, pageId: number): Uint8Array | undefined {
    const core = (this.#living.get(server) ?? this.#dead.get(server))?.core;
    const frame = core?.frameOf(client, pageId) ?? -1;
    if (core === undefined || frame < 0) return this.#vanished.get(`${server}/${client}/${pageId}`);
    const copy = new Uint8Array(PAGE_BYTES);
    core.readFrame(frame, copy, 0);
    return copy;
  }
}
