import { type Hello, type Prover, Role } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { NswapError } from "../base/errors.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { FrameQueue } from "../client/frame-queue.ts";
import { type FrameTable, NO_FRAME } from "../client/frame-table.ts";
import type { LinkPort } from "../client/link-options.ts";
import { ServerLink } from "../client/server-link.ts";
import type { ClientRecord } from "../server/client-table.ts";
import type { ParityCounters } from "./parity-counters.ts";
import type { ParityPort } from "./parity-port.ts";
import { NO_SERVER, type ServerTable } from "./server-table.ts";

/** Who is told what became of the pages that were asked for or put. */
export interface PagePort {
  /** The page's bytes are in the frame, unverified. */
  fetched(frame: number, sentWith: number): void;
  /** The server does not hold the page. */
  absent(frame: number): void;
  held(frame: number): void;
  refused(frame: number): void;
  /** The server cannot be reached; a page that was put may be held nevertheless. */
  unreachable(frame: number): void;
}

export interface ServerLinksOptions {
  arena: Arena;
  frames: FrameTable;
  servers: ServerTable;
  port: ParityPort;
  pages: PagePort;
  counters: ParityCounters;
  name: string;
  nonce: () => Uint8Array;
  prover: Prover | undefined;
  linksMax: number;
  /** True as long as this is the client's record. */
  isKnown: (client: ClientRecord) => boolean;
}

/** Pages in one PUTPAGE. */
const PUT_PAGES = 32;

/** Who a page is fetched for: a reader, who waits for it; a client's other work; or nobody but the scrub. */
export type FetchFor = "reader" | "work" | "scrub";

/**
 * A link that was not used for so long makes way for another. Other work than that of readers does not take turns with
 * what is in use; but links that are used only now and then would keep it from its pages for ever.
 */
const UNUSED_MS_MIN: Readonly<Record<FetchFor, number>> = {
  reader: 0,
  work: limits.parityLinkWaitMs,
  scrub: Number.POSITIVE_INFINITY,
};

/** What one client has at one memory server, as far as it is used: a link, or the wish for one. */
interface Route {
  readonly client: ClientRecord;
  /** The server's number, held. */
  readonly server: number;
  link: ServerLink | undefined;
  /** Frames that wait for the link. */
  readonly gets: FrameQueue;
  /** Frames to be put at the end of the turn. */
  readonly puts: FrameQueue;
  /** When the driver was, or is to be, asked for a link. */
  wantedMs: number | undefined;
  /** Until then nothing is tried again. */
  refusedUntilMs: number;
  /** When it was last used for a client. */
  usedMs: number;
}

/** The links to memory servers, one for each client and server that pages are moved for, made when first needed. */
export class ServerLinks implements LinkPort {
  readonly #options: ServerLinksOptions;
  readonly #routes = new Map<ClientRecord, Map<number, Route>>();
  readonly #byLink = new Map<ServerLink, Route>();
  readonly #wanted: Route[] = [];
  #nowMs = 0;
  /** Time in which this process ran. */
  #clockMs = 0;

  constructor(options: ServerLinksOptions) {
    this.#options = options;
  }

  /** Links that stand or are being made. */
  get count(): number {
    return this.#byLink.size;
  }

  /** Asks for the page `frames.pageId` of the client. Its frame comes back by `pages`, at once if there is no way. */
  fetch(client: ClientRecord, server: number, frame: number, whom: FetchFor): void {
    const route = this.#route(client, server, whom);
    if (route === undefined) return this.#options.pages.unreachable(frame);
    if (whom !== "scrub") route.usedMs = this.#clockMs;
    if (route.link?.up) return route.link.getPage(frame);
    route.gets.push(frame);
    this.#want(route);
  }

  /** Puts the page in a frame, whose columns say what it is, on a server; its frame comes back through `pages`. */
  put(client: ClientRecord, server: number, frame: number): void {
    const route = this.#route(client, server, "work");
    if (route === undefined) return this.#options.pages.unreachable(frame);
    route.usedMs = this.#clockMs;
    route.puts.push(frame);
    if (!route.link?.up) this.#want(route);
  }

  /** The way to a server, if one may be tried now; where there are too many, another one may have to make way. */
  #route(client: ClientRecord, server: number, whom: FetchFor): Route | undefined {
    if (server === NO_SERVER) return undefined;
    let routes = this.#routes.get(client);
    if (routes === undefined) {
      routes = new Map();
      this.#routes.set(client, routes);
    }
    let route = routes.get(server);
    if (route === undefined) {
      route = this.#newRoute(client, server);
      routes.set(server, route);
    }
    if (route.link?.up) return route;
    if (this.#clockMs < route.refusedUntilMs) return undefined;
    const isNew = route.link === undefined && route.wantedMs === undefined;
    if (isNew && this.#full && !this.#makeRoom(UNUSED_MS_MIN[whom])) return undefined;
    return route;
  }

  /** Ends the link that was used longest ago, of those that nothing is on its way on; false if there is none. */
  #makeRoom(unusedMsMin: number): boolean {
    let oldest: Route | undefined;
    for (const [link, route] of this.#byLink) {
      if (this.#clockMs - route.usedMs < unusedMsMin) continue;
      if (oldest !== undefined && route.usedMs >= oldest.usedMs) continue;
      if (link.up && !link.owed && !link.hasMore && route.puts.length === 0) oldest = route;
    }
    if (oldest?.link === undefined) return false;
    this.#end(oldest, oldest.link);
    return true;
  }

  get #full(): boolean {
    return this.#byLink.size + this.#wanted.length >= this.#options.linksMax;
  }

  #newRoute(client: ClientRecord, server: number): Route {
    const { frames, servers } = this.#options;
    return {
      client,
      server: servers.hold(server),
      link: undefined,
      gets: new FrameQueue(frames),
      puts: new FrameQueue(frames),
      wantedMs: undefined,
      refusedUntilMs: Number.NEGATIVE_INFINITY,
      usedMs: this.#clockMs,
    };
  }

  #want(route: Route): void {
    if (route.wantedMs !== undefined) return;
    route.wantedMs = this.#clockMs;
    if (route.link === undefined) this.#wanted.push(route);
  }

  /** See ParityServerCore.openLink. */
  open(client: ClientRecord | undefined, identity: string, out: OutQueue, nowMs: number): ServerLink {
    const route = client && this.#find(client, identity);
    if (route?.link !== undefined || route?.wantedMs === undefined) {
      throw new NswapError("PEER_CLOSED", "the link is not wanted any more");
    }
    const { arena, frames, prover } = this.#options;
    const own = this.#hello(route.client);
    const queueBytesSoft = limits.peerQueueBytesSoft;
    const link = new ServerLink(out, { arena, frames, own, prover, port: this, queueBytesSoft });
    link.lastHeardMs = nowMs;
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    route.link = link;
    this.#byLink.set(link, route);
    return link;
  }

  #find(client: ClientRecord, identity: string): Route | undefined {
    for (const route of this.#routes.get(client)?.values() ?? []) {
      if (this.#options.servers.identity(route.server) === identity) return route;
    }
    return undefined;
  }

  #hello(client: ClientRecord): Hello {
    const { name, nonce, prover } = this.#options;
    return {
      role: Role.PARITY,
      keyed: prover !== undefined,
      identity: Uint8Array.from(Buffer.from(client.identity, "hex")),
      nonce: nonce(),
      epoch: 0,
      pagesPerFrame: 64,
      name,
    };
  }

  /** See ParityServerCore.unreachable. */
  unreachable(client: ClientRecord | undefined, identity: string): void {
    const route = client && this.#find(client, identity);
    if (route !== undefined && route.link === undefined) this.#refuse(route);
  }

  /** No way for now: what waits fails, and so does what comes soon. */
  #refuse(route: Route): void {
    route.wantedMs = undefined;
    route.refusedUntilMs = this.#clockMs + limits.parityLinkRetryMs;
    this.#failWaiting(route);
  }

  #failWaiting(route: Route): void {
    const { pages } = this.#options;
    for (const queue of [route.gets, route.puts]) {
      for (let frame = queue.shift(); frame !== NO_FRAME; frame = queue.shift()) pages.unreachable(frame);
    }
  }

  /** The link's connection is over. */
  ended(link: ServerLink): void {
    const route = this.#byLink.get(link);
    if (route === undefined) return;
    const wasUp = link.holder >= 0;
    this.#byLink.delete(link);
    route.link = undefined;
    route.wantedMs = undefined;
    link.close(new NswapError("PEER_CLOSED", "the connection ended", { retry: true }));
    const { pages, counters } = this.#options;
    if (wasUp) counters.linksLost += 1;
    const lost = (frame: number): void => pages.unreachable(frame);
    link.surrender(lost, lost);
    if (wasUp) this.#failWaiting(route);
    else this.#refuse(route);
  }

  #drop(link: ServerLink, error: Error): void {
    link.close(error);
    this.#options.port.linkClosed(link);
    this.ended(link);
  }

  /** End of the turn: asks for links, and encodes what was gathered for each server. */
  flush(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    const { port, servers } = this.#options;
    for (let route = this.#wanted.pop(); route !== undefined; route = this.#wanted.pop()) {
      if (route.link !== undefined || route.wantedMs === undefined) continue;
      port.wanted(route.client.identity, servers.identity(route.server));
    }
    for (const [link, route] of this.#byLink) {
      if (link.closed !== undefined) this.#drop(link, link.closed);
      else if (link.up) this.#flushLink(link, route);
    }
  }

  #flushLink(link: ServerLink, route: Route): void {
    try {
      link.ask(this.#nowMs);
      while (route.puts.length > 0 && link.hasRoom) {
        link.putPages(route.puts, Math.min(route.puts.length, PUT_PAGES, link.pagesMax), this.#nowMs);
      }
      link.flush(this.#nowMs, true);
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      this.#drop(link, error);
    }
  }

  /** Time passes: `clockMs` is that in which this process ran, `deafMs` what it slept through since the last tick. */
  tick(nowMs: number, clockMs: number, deafMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#clockMs = clockMs;
    for (const link of this.#byLink.keys()) {
      const overdue = link.overdue(nowMs, deafMs);
      if (overdue !== undefined) this.#drop(link, overdue);
    }
    for (const [client, routes] of this.#routes) {
      for (const route of routes.values()) this.#tickRoute(route, routes);
      if (routes.size === 0) this.#routes.delete(client);
    }
  }

  #tickRoute(route: Route, routes: Map<number, Route>): void {
    const { isKnown, servers } = this.#options;
    const clockMs = this.#clockMs;
    const known = isKnown(route.client);
    const idle = clockMs - route.usedMs >= limits.parityLinkIdleMs && route.puts.length === 0;
    const overdue = clockMs - (route.wantedMs ?? clockMs) >= limits.parityLinkWaitMs;
    if (route.link !== undefined && (!known || (idle && route.link.up && !route.link.owed))) {
      this.#end(route, route.link);
    }
    if (!route.link?.up && overdue) this.#refuse(route);
    if (route.link !== undefined || route.wantedMs !== undefined || clockMs < route.refusedUntilMs) return;
    routes.delete(route.server);
    servers.release(route.server);
  }

  /** Ends a link that is not needed any more. */
  #end(route: Route, link: ServerLink): void {
    this.#byLink.delete(link);
    route.link = undefined;
    route.wantedMs = undefined;
    link.close(new NswapError("PEER_CLOSED", "not needed any more"));
    this.#options.port.linkClosed(link);
    const lost = (frame: number): void => this.#options.pages.unreachable(frame);
    link.surrender(lost, lost);
    this.#failWaiting(route);
  }

  // LinkPort

  linkUp(link: ServerLink, hello: Hello): void {
    const route = this.#byLink.get(link);
    if (route === undefined) return;
    if (toHex(hello.identity) !== this.#options.servers.identity(route.server)) {
      link.close(new NswapError("PEER_REFUSED", `"${hello.name}" is another memory server`));
      return;
    }
    link.holder = route.server;
    this.#options.counters.linksMade += 1;
    route.wantedMs = undefined;
    route.refusedUntilMs = Number.NEGATIVE_INFINITY;
    for (let frame = route.gets.shift(); frame !== NO_FRAME; frame = route.gets.shift()) link.getPage(frame);
  }

  capacity(): void {}

  answered(): void {}

  pageListed(): void {}

  pageHeld(_link: ServerLink, frame: number): void {
    this.#options.pages.held(frame);
  }

  pageRefused(_link: ServerLink, frame: number): void {
    this.#options.pages.refused(frame);
  }

  pageArrived(_link: ServerLink, frame: number, sentWith: number): void {
    this.#options.counters.pagesFetched += 1;
    this.#options.pages.fetched(frame, sentWith);
  }

  pageMissing(_link: ServerLink, frame: number): void {
    this.#options.pages.absent(frame);
  }
}
