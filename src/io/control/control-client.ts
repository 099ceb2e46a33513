import net from "node:net";
import { WebSocket } from "ws";
import { type ControlTiming, controlLimits, controlTiming } from "../../base/control-limits.ts";
import { formatHostPort, type HostPort, isWildcardHost } from "../../base/host-port.ts";
import type { NodeRecord } from "../../membership/node-record.ts";
import type { ClusterKey } from "../cluster-key.ts";
import { ControlChannel, closeReason, messageBounds } from "./channel.ts";
import { ControlError, closeCodeOf, errorFromClose } from "./control-error.ts";
import { controlPath } from "./control-server.ts";
import { InitiatorHandshake, type Purpose } from "./handshake.ts";
import type { ControlMessage } from "./message.ts";

export interface ControlClientOptions {
  readonly key: ClusterKey | null;
  readonly purpose: Purpose;
  readonly timing?: ControlTiming;
}

interface Pending {
  settle(message: ControlMessage): void;
  fail(error: ControlError): void;
}

/** The connecting side of a control connection: asks another node, answers come by id. */
export class ControlClient {
  readonly #timing: ControlTiming;
  readonly #channel: ControlChannel;
  readonly #pending = new Map<number, Pending>();
  readonly #watchers = new Map<number, (document: unknown) => void>();
  readonly #whenClosed: Promise<ControlError>;
  #lastId = 0;

  private constructor(socket: WebSocket, timing: ControlTiming) {
    this.#timing = timing;
    let tellClosed: (error: ControlError) => void;
    this.#whenClosed = new Promise((resolve) => {
      tellClosed = resolve;
    });
    const handler = {
      message: (message: ControlMessage) => this.#receive(message),
      closed: (error: ControlError) => {
        for (const pending of this.#pending.values()) pending.fail(error);
        this.#pending.clear();
        tellClosed(error);
      },
    };
    this.#channel = new ControlChannel(socket, handler, timing);
  }

  /**
   * Connects and proves the key both ways.
   * @throws ControlError UNREACHABLE, TIMEOUT, KEY_REQUIRED, KEY_NOT_EXPECTED, KEY_WRONG, VERSION, PROTOCOL, BUSY
   */
  static connect(address: HostPort, options: ControlClientOptions): Promise<ControlClient> {
    const timing = options.timing ?? controlTiming;
    const host = isWildcardHost(address.host)
      ? address.host === "0.0.0.0"
        ? "127.0.0.1"
        : "::1"
      : address.host;
    const { port } = address;
    // An URL has no place for the zone of a link-local address, so that the socket is told of it beside the URL.
    const url = `ws://${formatHostPort({ host: host.replace(/%.*$/, ""), port })}${controlPath}`;
    let socket: WebSocket;
    try {
      socket = new WebSocket(url, {
        perMessageDeflate: false,
        ...messageBounds,
        followRedirects: false,
        handshakeTimeout: timing.connectMs,
        createConnection: () => net.connect({ host, port }),
      });
    } catch (error) {
      return Promise.reject(new ControlError("UNREACHABLE", "is not an address to connect to", error));
    }
    return shakeHands(socket, new InitiatorHandshake(options.key, options.purpose), timing, () => {
      return new ControlClient(socket, timing);
    });
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  /** Resolves with the reason once the connection is over. */
  get whenClosed(): Promise<ControlError> {
    return this.#whenClosed;
  }

  /** The cluster as the node sees it, unchecked. */
  async status(): Promise<unknown> {
    const reply = await this.#ask((id) => ({ t: "status", id }));
    if (reply.t !== "status-reply") throw this.#wrongAnswer();
    return reply.document;
  }

  /** Has a parity server check all its groups; false if the node is none. */
  async scrub(): Promise<boolean> {
    const reply = await this.#ask((id) => ({ t: "scrub", id }));
    if (reply.t !== "scrub-reply") throw this.#wrongAnswer();
    return reply.begun;
  }

  /** Exchanges tables: tells ours, returns whose table came back and the table itself, unchecked. */
  async gossip(from: string, nodes: readonly NodeRecord[]): Promise<{ from: string; nodes: unknown }> {
    const reply = await this.#ask((id) => ({ t: "gossip", id, from, nodes }));
    if (reply.t !== "gossip-reply") throw this.#wrongAnswer();
    return reply;
  }

  /** Calls `update` with the status, unchecked, at once and then every `everyMs`, until the connection ends.
   * A ControlError that `update` throws ends it. */
  subscribe(everyMs: number, update: (document: unknown) => void): void {
    const id = this.#nextId();
    this.#watchers.set(id, update);
    this.#channel.send({ t: "subscribe", id, everyMs });
  }

  close(): void {
    this.#channel.close();
  }

  #nextId(): number {
    this.#lastId++;
    return this.#lastId;
  }

  #ask(make: (id: number) => ControlMessage): Promise<ControlMessage> {
    if (!this.isOpen) return Promise.reject(new ControlError("CLOSED", "the connection is closed"));
    if (this.#pending.size >= controlLimits.requestsPerConnectionMax) {
      return Promise.reject(new ControlError("BUSY", "too many requests wait for this node's answer"));
    }
    const id = this.#nextId();
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ControlError("TIMEOUT", `no answer within ${this.#timing.answerMs} ms`));
      }, this.#timing.answerMs);
      this.#pending.set(id, {
        settle: (message) => {
          clearTimeout(late);
          resolve(message);
        },
        fail: (error) => {
          clearTimeout(late);
          reject(error);
        },
      });
      this.#channel.send(make(id));
    });
  }

  #receive(message: ControlMessage): void {
    const pending = this.#pending.get(message.id);
    if (pending) {
      this.#pending.delete(message.id);
      pending.settle(message);
      return;
    }
    const watcher = this.#watchers.get(message.id);
    if (watcher && message.t === "status-reply") watcher(message.document);
    else if (!isAnswer(message)) throw this.#wrongAnswer();
  }

  #wrongAnswer(): ControlError {
    return new ControlError("PROTOCOL", "the node answered with something else than was asked for");
  }
}

/** Whether it may be the late answer to something that was given up. */
const isAnswer = ({ t }: ControlMessage): boolean =>
  t === "status-reply" || t === "gossip-reply" || t === "scrub-reply";

/** Runs the handshake on a new socket; `open` is called in the very turn in which it ends. */
function shakeHands<T>(
  socket: WebSocket,
  handshake: InitiatorHandshake,
  timing: ControlTiming,
  open: () => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(deadline);
      socket.off("message", take);
      socket.off("close", closed);
      socket.off("error", failed);
    };
    const fail = (error: ControlError) => {
      end();
      socket.on("error", () => {});
      if (socket.readyState === WebSocket.OPEN) socket.close(closeCodeOf(error.code), closeReason(error));
      const cut = setTimeout(() => socket.terminate(), 500);
      socket.once("close", () => clearTimeout(cut));
      if (socket.readyState === WebSocket.CLOSED) clearTimeout(cut);
      reject(error);
    };
    const take = (data: Buffer, isBinary: boolean) => {
      try {
        if (!isBinary) throw new ControlError("PROTOCOL", "not the handshake of an nswap control port");
        const step = handshake.take(data);
        if (step.send) socket.send(step.send);
        if (!step.done) return;
        end();
        resolve(open());
      } catch (error) {
        fail(error instanceof ControlError ? error : new ControlError("PROTOCOL", "handshake failed", error));
      }
    };
    const failed = (error: NodeJS.ErrnoException) => fail(noConnection(error));
    const closed = (code: number, reason: Buffer) => fail(errorFromClose(code, reason.toString("latin1")));
    const late = () => fail(new ControlError("TIMEOUT", "the handshake took too long"));
    const deadline = setTimeout(late, timing.connectMs + timing.handshakeMs);
    socket.on("open", () => socket.send(handshake.hello));
    socket.on("message", take);
    socket.on("close", closed);
    socket.on("error", failed);
  });
}

/** Why no WebSocket came about. What answers with something else than that, or than HTTP, is another kind of port. */
function noConnection(error: NodeJS.ErrnoException): ControlError {
  const why = error.code ?? error.message;
  const isOther = why.startsWith("HPE_") || /^Unexpected server response: (?!403|503)/.test(why);
  if (!isOther) return new ControlError("UNREACHABLE", `cannot be reached (${why})`, error);
  return new ControlError(
    "PROTOCOL",
    `is no control port of nswap, though something answers (${why})`,
    error,
  );
}
