import { formatHostPort } from "../base/host-port.ts";

/** What a client links to. */
export type LinkedRole = "server" | "parity";

/** Where membership says that a server is. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** The server's name. */
  readonly label: string;
  readonly role: LinkedRole;
}

/** Who a server said it is when it answered. */
export interface Answerer {
  readonly identity: string;
  readonly name: string;
}

/** A server that has answered at some time and is not proved gone. */
interface Known {
  readonly name: string;
  readonly role: LinkedRole;
  /** Where it answered last or, while it has no link, is said to be. */
  home: string;
}

/** The text that stands for a place's address. */
export const addressOf = (place: { host: string; port: number }): string => formatHostPort(place);

/**
 * Where servers are: what membership says, and what was found by dialling. Only what was found proves a server gone:
 * that it is not at its home, while nobody hears of it or its successor answers there. What is said alone moves homes.
 *
 *     found at A, said to be at B --no link--> looked for at A and B --found at one--> its home, and nowhere else
 */
export class Whereabouts {
  /** As many as membership hears of. */
  readonly #said = new Map<string, Place>();
  /** As many as have a home among the addresses that are dialled. */
  readonly #known = new Map<string, Known>();
  /** Who may be at an address: at home there, or found there before it was said to be elsewhere. */
  readonly #tenants = new Map<string, Set<string>>();

  /** Membership hears of the server at this place. */
  say(identity: string, place: Place): void {
    this.#said.set(identity, place);
  }

  /** Membership hears of the server no more. */
  unsay(identity: string): void {
    this.#said.delete(identity);
  }

  /** Where membership says the server is. */
  placeOf(identity: string): Place | undefined {
    return this.#said.get(identity);
  }

  /** Address of the server, if it has ever answered. */
  homeOf(identity: string): string | undefined {
    return this.#known.get(identity)?.home;
  }

  /** The server has answered at the address, so it is nowhere else. */
  found(address: string, { identity, name }: Answerer, role: LinkedRole): void {
    this.forget(identity);
    this.#known.set(identity, { name, role, home: address });
    this.#enter(address, identity);
  }

  /** The server is gone, or to be found anew. */
  forget(identity: string): void {
    this.#known.delete(identity);
    for (const address of this.#tenants.keys()) this.#leave(address, identity);
  }

  /** A server that has no link is also looked for where membership says it is, if it has ever answered. */
  follow(identity: string): void {
    const known = this.#known.get(identity);
    const said = this.#said.get(identity);
    if (known === undefined || said === undefined || known.home === addressOf(said)) return;
    // Of the places where it was, the last is enough.
    for (const address of this.#tenants.keys()) if (address !== known.home) this.#leave(address, identity);
    known.home = addressOf(said);
    this.#enter(known.home, identity);
  }

  /**
   * Nobody listens at the address or, where one is given, another process answers there: the identities that this
   * proves gone. A server that is still heard of may have moved; only a new process of its name has taken its place.
   */
  gone(address: string, answering?: Answerer): string[] {
    const isNew = answering !== undefined && !this.#known.has(answering.identity);
    const gone: string[] = [];
    for (const identity of [...(this.#tenants.get(address) ?? [])]) {
      if (identity === answering?.identity) continue;
      this.follow(identity);
      const { home, name } = this.#known.get(identity)!;
      if (home !== address) this.#leave(address, identity);
      else if (!this.#said.has(identity) || (isNew && answering.name === name)) gone.push(identity);
    }
    return gone;
  }

  /** Whether some server is to be looked for at the address: not one that was found elsewhere. */
  isNeeded(address: string): boolean {
    return this.#tenants.has(address) || this.#saidAt(address).length > 0;
  }

  /** What those that may be at the address are. */
  rolesAt(address: string): Set<LinkedRole> {
    const roles = new Set(this.#saidAt(address).map((place) => place.role));
    for (const identity of this.#tenants.get(address) ?? []) roles.add(this.#known.get(identity)!.role);
    return roles;
  }

  /** What is said of those to be looked for at the address: whoever has a home is looked for there. */
  #saidAt(address: string): Place[] {
    const places: Place[] = [];
    for (const [identity, place] of this.#said) {
      if (addressOf(place) === address && (this.homeOf(identity) ?? address) === address) places.push(place);
    }
    return places;
  }

  #enter(address: string, identity: string): void {
    const tenants = this.#tenants.get(address);
    if (tenants === undefined) this.#tenants.set(address, new Set([identity]));
    else tenants.add(identity);
  }

  #leave(address: string, identity: string): void {
    const tenants = this.#tenants.get(address);
    if (tenants?.delete(identity) && tenants.size === 0) this.#tenants.delete(address);
  }
}
