import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { type DialledLink, isRefusal, LinkSocket, type LinkSocketOptions } from "./link-socket.ts";
import { type Answerer, addressOf, type LinkedRole, type Place, Whereabouts } from "./whereabouts.ts";

/** A core that keeps links to servers. */
export interface LinkOwner<L extends DialledLink> {
  /** A connection to a server of this role is being made. Throws NswapError where there is no room for one. */
  openLink(out: OutQueue, nowMs: number, role: LinkedRole): L;
  /** The link's connection is over. */
  linkEnded(link: L): void;
  /** The server is provably gone with its pages. */
  serverLost(identity: string, why: string): void;
}

export interface ServerDialerOptions<L extends DialledLink> extends LinkSocketOptions {
  readonly core: LinkOwner<L>;
  readonly notice: Notice;
  /** Refused for so long, a server that nobody hears of is gone; default: limits.refusedMeansDeadMs. */
  readonly refusedMeansDeadMs?: number;
}

/** One address to keep a connection to. */
interface Target<L extends DialledLink> {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  label: string;
  /** As what it is dialled. */
  role: LinkedRole;
  /** Who answered there last. */
  answered: Answerer | undefined;
  retryMs: number;
  /** When the link that stands came up. */
  upSinceMs: number | undefined;
  timer: NodeJS.Timeout | undefined;
  socket: LinkSocket<L> | undefined;
  /** Since when every attempt was refused, and how many were. */
  refusedSinceMs: number;
  refusals: number;
  whenEnded: (() => void) | undefined;
  lastError: string;
}

/** A client that stood still itself, between two refusals, has seen no more than two. */
const refusalsMin = 3;

const roleNames = { server: "memory server", parity: "parity server" } as const;

/**
 * Keeps one connection to each server that membership names, and makes it anew when it ends. What membership says only
 * decides where to look; a server is lost by what is found there (`Whereabouts`), and never while its link stands.
 */
export class ServerDialer<L extends DialledLink> {
  readonly #options: ServerDialerOptions<L>;
  readonly #targets = new Map<string, Target<L>>();
  readonly #byLink = new Map<L, Target<L>>();
  readonly #whereabouts = new Whereabouts();
  #stopped = false;

  constructor(options: ServerDialerOptions<L>) {
    this.#options = options;
  }

  /** Membership hears of a server at this place. */
  add(identity: string, place: Place): void {
    const before = this.#whereabouts.placeOf(identity);
    this.#whereabouts.say(identity, place);
    const home = this.#homeOf(identity);
    // A server ends the older of two connections of a client: the link that stands is followed when it ends.
    if (home === undefined || linkedAt(home) !== identity) this.#look(identity, place);
    if (before === undefined) this.#hurry(this.#targets.get(addressOf(place)));
    else if (addressOf(before) !== addressOf(place)) this.#dropUnneeded();
  }

  /** Membership hears no more of the server: who is there is looked at, which may prove that it is gone. */
  unheard(identity: string): void {
    this.#whereabouts.unsay(identity);
    const home = this.#homeOf(identity);
    if (home !== undefined && linkedAt(home) !== undefined) this.#judge(home, home.answered);
    else this.#hurry(home);
    this.#dropUnneeded();
  }

  /** The server has left: a connection that stands stays, no new one is made for it. */
  remove(identity: string): void {
    this.#whereabouts.unsay(identity);
    this.#whereabouts.forget(identity);
    this.#dropUnneeded();
  }

  /** Links of a role that stand. */
  linked(role: LinkedRole): number {
    let count = 0;
    for (const [link, target] of this.#byLink) if (target.role === role && link.up) count += 1;
    return count;
  }

  #homeOf(identity: string): Target<L> | undefined {
    const address = this.#whereabouts.homeOf(identity);
    return address === undefined ? undefined : this.#targets.get(address);
  }

  /** Looks for a server without a link where it is said to be. */
  #look(identity: string, place: Place): void {
    this.#whereabouts.follow(identity);
    const known = this.#targets.get(addressOf(place));
    if (known !== undefined) {
      if (linkedAt(known) === undefined) known.label = place.label;
      return;
    }
    if (this.#targets.size >= limits.memoryServersMax) return;
    const target: Target<L> = {
      ...{ address: addressOf(place), host: place.host, port: place.port, label: place.label },
      ...{ role: place.role, answered: undefined, retryMs: limits.linkRetryMsMin, upSinceMs: undefined },
      ...{ timer: undefined, socket: undefined, refusedSinceMs: 0, refusals: 0 },
      ...{ whenEnded: undefined, lastError: "" },
    };
    this.#targets.set(target.address, target);
    this.#dial(target);
  }

  /** Something has happened there: what waits for its next attempt is dialled now. */
  #hurry(target: Target<L> | undefined): void {
    if (target?.timer === undefined) return;
    clearTimeout(target.timer);
    target.retryMs = limits.linkRetryMsMin;
    this.#dial(target);
  }

  /** A connection that stands stays until it ends. */
  #dropUnneeded(): void {
    for (const target of [...this.#targets.values()]) {
      if (this.#whereabouts.isNeeded(target.address)) continue;
      if (target.socket === undefined) this.#drop(target);
      else if (target.upSinceMs === undefined) target.socket.destroy();
    }
  }

  #drop(target: Target<L>): void {
    clearTimeout(target.timer);
    if (this.#targets.get(target.address) === target) this.#targets.delete(target.address);
  }

  #dial(target: Target<L>): void {
    target.timer = undefined;
    if (this.#stopped) return;
    const { core, nowMs } = this.#options;
    let socket: LinkSocket<L>;
    try {
      socket = new LinkSocket(
        target,
        (out) => core.openLink(out, nowMs(), target.role),
        {
          up: () => this.#up(target, socket.link),
          ended: (error) => this.#ended(target, socket.link, error),
        },
        this.#options,
      );
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      return this.#dialLater(target, error.message);
    }
    target.socket = socket;
    this.#byLink.set(socket.link, target);
  }

  #up(target: Target<L>, link: L): void {
    const { notice, nowMs } = this.#options;
    const peer = link.peer!;
    this.#judge(target, peer);
    const again = target.answered?.identity === peer.identity ? " again" : "";
    notice(`linked to a ${roleNames[target.role]}${again}`, { name: peer.name, at: target.address });
    this.#whereabouts.found(target.address, peer, target.role);
    target.answered = peer;
    target.upSinceMs = nowMs();
    this.#dropUnneeded();
  }

  /** Whoever is proved gone by what was found at the address, another process or nobody, is lost. */
  #judge(target: Target<L>, answering: Answerer | undefined): void {
    for (const identity of this.#whereabouts.gone(target.address, answering)) {
      this.#whereabouts.forget(identity);
      const why =
        answering === undefined
          ? `nobody listens at ${target.address} any more`
          : `another process answers at ${target.address}`;
      this.#options.core.serverLost(identity, why);
    }
  }

  /** The core has given the link up: nothing more is expected of the other side, not even to read. */
  linkClosed(link: L): void {
    this.#byLink.get(link)?.socket?.destroy();
  }

  #ended(target: Target<L>, link: L, error: Error | undefined): void {
    const { core } = this.#options;
    const why = link.closed ?? error ?? new NswapError("PEER_CLOSED", "the connection ended");
    core.linkEnded(link);
    this.#byLink.delete(link);
    target.socket = undefined;
    target.whenEnded?.();
    if (this.#stopped) return this.#drop(target);
    if (target.upSinceMs === undefined) this.#attemptFailed(target, link, error);
    else this.#linkOver(target, target.upSinceMs);
    if (this.#whereabouts.isNeeded(target.address)) this.#dialLater(target, why.message);
    else this.#drop(target);
  }

  #linkOver(target: Target<L>, upSinceMs: number): void {
    // Only a link that lasted makes the pauses short again: a welcome may be followed by the same error every time.
    if (this.#options.nowMs() - upSinceMs > limits.linkRetryMsMax) {
      target.retryMs = limits.linkRetryMsMin;
      target.lastError = "";
    }
    target.upSinceMs = undefined;
    target.refusals = 0;
    const { identity } = target.answered!;
    const place = this.#whereabouts.placeOf(identity);
    if (place !== undefined) this.#look(identity, place);
  }

  #attemptFailed(target: Target<L>, link: L, error: Error | undefined): void {
    this.#countRefusal(target, isRefusal(error));
    // It may have told who it is before it turned out to be of no use: of the other role, say.
    if (link.peer !== undefined) this.#judge(target, link.peer);
    else if (this.#isRefusedForLong(target)) this.#judge(target, undefined);
    const other = target.role === "server" ? "parity" : "server";
    if (this.#whereabouts.rolesAt(target.address).has(other)) target.role = other;
  }

  #countRefusal(target: Target<L>, refused: boolean): void {
    if (target.refusals === 0) target.refusedSinceMs = this.#options.nowMs();
    target.refusals = refused ? target.refusals + 1 : 0;
  }

  /**
   * A machine that says time and again that nobody listens has no such process any more. A firewall may say the same
   * of one that lives: then other nodes hear of it. If it is heard of once more, it is added again.
   */
  #isRefusedForLong(target: Target<L>): boolean {
    const { refusedMeansDeadMs = limits.refusedMeansDeadMs, nowMs } = this.#options;
    return target.refusals >= refusalsMin && nowMs() - target.refusedSinceMs >= refusedMeansDeadMs;
  }

  #dialLater(target: Target<L>, why: string): void {
    if (why !== target.lastError) {
      target.lastError = why;
      const { label, address: at } = target;
      this.#options.notice("no link to a server; trying again", { name: label, at, why });
    }
    target.timer = setTimeout(() => this.#dial(target), target.retryMs);
    target.retryMs = Math.min(target.retryMs * 2, limits.linkRetryMsMax);
  }

  /** Ends all connections after what is queued was sent; resolves when they are gone. */
  async finish(): Promise<void> {
    this.#stopped = true;
    const open = [...this.#targets.values()].filter((target) => target.socket !== undefined);
    for (const target of this.#targets.values()) clearTimeout(target.timer);
    await Promise.all(
      open.map(
        (target) =>
          new Promise<void>((resolve) => {
            target.whenEnded = resolve;
            target.socket?.finish();
          }),
      ),
    );
  }

  /** Ends all connections at once. */
  stop(): void {
    this.#stopped = true;
    for (const target of [...this.#targets.values()]) {
      clearTimeout(target.timer);
      target.socket?.destroy();
    }
  }
}

/** Who the link leads to that stands at the target. */
function linkedAt(target: Target<DialledLink>): string | undefined {
  return target.upSinceMs === undefined ? undefined : target.answered?.identity;
}
