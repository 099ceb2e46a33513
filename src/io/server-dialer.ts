import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { type DialledLink, isRefusal, LinkSocket, type LinkSocketOptions } from "./link-socket.ts";

/** What a client links to. */
export type LinkedRole = "server" | "parity";

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
  /** Refused for so long, an address that no node is heard of at is proof; default: limits.refusedMeansDeadMs. */
  readonly refusedMeansDeadMs?: number;
}

/** One address to keep a connection to. */
interface Target<L extends DialledLink> {
  readonly host: string;
  readonly port: number;
  label: string;
  readonly role: LinkedRole;
  /** Identity that answered there last. */
  identity: string | undefined;
  retryMs: number;
  /** When the link that stands came up. */
  upSinceMs: number | undefined;
  timer: NodeJS.Timeout | undefined;
  socket: LinkSocket<L> | undefined;
  /** False while membership takes the node there for down. */
  heard: boolean;
  /** Since when every attempt was refused, and how many were. */
  refusedSinceMs: number;
  refusals: number;
  /** Set when the cluster no longer knows a server there. */
  forgotten: boolean;
  whenEnded: (() => void) | undefined;
  lastError: string;
}

/** A client that stood still itself, between two refusals, has seen no more than two. */
const refusalsMin = 3;

const roleNames = { server: "memory server", parity: "parity server" } as const;

/** Keeps one connection to each server that membership names, and makes it anew when it ends. */
export class ServerDialer<L extends DialledLink> {
  readonly #options: ServerDialerOptions<L>;
  readonly #targets = new Map<string, Target<L>>();
  readonly #byLink = new Map<L, Target<L>>();
  #stopped = false;

  constructor(options: ServerDialerOptions<L>) {
    this.#options = options;
  }

  /** A server is said to be at this address. */
  add(host: string, port: number, label: string, role: LinkedRole = "server"): void {
    const key = `${host}:${port}`;
    const known = this.#targets.get(key);
    if (known !== undefined && known.role === role) {
      known.forgotten = false;
      known.heard = true;
      known.label = label;
      return;
    }
    // Another role at the address is another process.
    if (known !== undefined) this.#replaced(known);
    if (this.#targets.size >= limits.memoryServersMax) return;
    const target: Target<L> = {
      ...{ host, port, label, role, identity: undefined },
      ...{ retryMs: limits.linkRetryMsMin, upSinceMs: undefined, timer: undefined, socket: undefined },
      ...{ heard: true, refusedSinceMs: 0, refusals: 0 },
      ...{ forgotten: false, whenEnded: undefined, lastError: "" },
    };
    this.#targets.set(key, target);
    this.#dial(target);
  }

  /** Nothing is heard any more of the server at this address. */
  unheard(host: string, port: number): void {
    const target = this.#targets.get(`${host}:${port}`);
    if (target !== undefined) target.heard = false;
  }

  /** No server is known at this address any more: a connection that stands stays, no new one is made. */
  remove(host: string, port: number): void {
    const target = this.#targets.get(`${host}:${port}`);
    if (target === undefined) return;
    target.forgotten = true;
    if (target.socket === undefined) this.#drop(target);
  }

  /** Links of a role that stand. */
  linked(role: LinkedRole): number {
    let count = 0;
    for (const [link, target] of this.#byLink) if (target.role === role && link.up) count += 1;
    return count;
  }

  #drop(target: Target<L>): void {
    clearTimeout(target.timer);
    const key = `${target.host}:${target.port}`;
    if (this.#targets.get(key) === target) this.#targets.delete(key);
  }

  #replaced(target: Target<L>): void {
    target.forgotten = true;
    this.#drop(target);
    target.socket?.destroy();
    this.#lose(target, `another process is at ${target.host}:${target.port}`);
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
    const { identity, name } = link.peer!;
    if (target.identity !== identity) {
      this.#lose(target, `another process answers at ${target.host}:${target.port}`);
      notice(`linked to a ${roleNames[target.role]}`, { name, at: `${target.host}:${target.port}` });
    }
    target.identity = identity;
    target.upSinceMs = nowMs();
  }

  /** Who answered there last, if anybody has, is gone. */
  #lose(target: Target<L>, why: string): void {
    const { identity } = target;
    target.identity = undefined;
    if (identity !== undefined) this.#options.core.serverLost(identity, why);
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
    if (target.forgotten || this.#stopped) return this.#drop(target);
    // Only a link that lasted makes the pauses short again: a welcome may be followed by the same error every time.
    if (this.#options.nowMs() - (target.upSinceMs ?? Number.POSITIVE_INFINITY) > limits.linkRetryMsMax) {
      target.retryMs = limits.linkRetryMsMin;
      target.lastError = "";
    }
    target.upSinceMs = undefined;
    this.#countRefusal(target, isRefusal(error));
    if (this.#isProvedGone(target)) {
      this.#drop(target);
      this.#lose(target, `nobody listens at ${target.host}:${target.port} any more`);
    } else this.#dialLater(target, why.message);
  }

  #countRefusal(target: Target<L>, refused: boolean): void {
    if (target.refusals === 0) target.refusedSinceMs = this.#options.nowMs();
    target.refusals = refused ? target.refusals + 1 : 0;
  }

  /**
   * A machine that says time and again that nobody listens has no such process any more. A firewall may say the same
   * of one that lives: then other nodes hear of it. If it is heard of once more, it is added again.
   */
  #isProvedGone(target: Target<L>): boolean {
    const { refusedMeansDeadMs = limits.refusedMeansDeadMs, nowMs } = this.#options;
    if (target.heard || target.refusals < refusalsMin) return false;
    return nowMs() - target.refusedSinceMs >= refusedMeansDeadMs;
  }

  #dialLater(target: Target<L>, why: string): void {
    if (why !== target.lastError) {
      target.lastError = why;
      const at = `${target.host}:${target.port}`;
      this.#options.notice("no link to a server; trying again", { name: target.label, at, why });
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
