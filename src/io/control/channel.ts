import type { WebSocket } from "ws";
import { type ControlTiming, controlLimits } from "../../base/control-limits.ts";
import { ControlError, closeCodeOf, errorFromClose } from "./control-error.ts";
import { type ControlMessage, decodeMessage, encodeMessage } from "./message.ts";

/**
 * What one message may be made of, for the WebSocket. A piece of a byte keeps the whole read that it came with from
 * being freed, so that a message within its bounds could hold a gigabyte.
 */
export const messageBounds = {
  maxPayload: controlLimits.messageBytesMax,
  maxFragments: controlLimits.fragmentsMax,
  maxBufferedChunks: controlLimits.readsPerMessageMax,
} as const;

export interface ChannelHandler {
  /** A checked message. What it throws as ControlError ends the connection with that reason. */
  message(message: ControlMessage): void;
  /** The connection is over; called once. */
  closed(error: ControlError): void;
}

/**
 * A control connection after its handshake: messages, pings, and the two bounds that a peer cannot get around: one
 * that does not read is dropped, one that shows no life is dropped.
 */
export class ControlChannel {
  readonly #socket: WebSocket;
  readonly #handler: ChannelHandler;
  readonly #ping: NodeJS.Timeout;
  #heardAtMs = performance.now();
  #open = true;

  constructor(socket: WebSocket, handler: ChannelHandler, timing: Pick<ControlTiming, "pingMs" | "idleMs">) {
    this.#socket = socket;
    this.#handler = handler;
    socket.on("message", (data: Buffer, isBinary: boolean) => this.#receive(data, isBinary));
    socket.on("pong", () => this.#heard());
    socket.on("ping", () => this.#heard());
    socket.on("error", (error) => this.#finish(new ControlError("CLOSED", error.message, error)));
    socket.on("close", (code, reason) => this.#finish(errorFromClose(code, reason.toString("latin1"))));
    this.#ping = setInterval(() => this.#keepAlive(timing.idleMs), timing.pingMs);
    this.#ping.unref();
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whether the peer has read what it was sent so far, or nearly. */
  get isDrained(): boolean {
    return this.#socket.bufferedAmount < controlLimits.sendBufferBytesMax / 4;
  }

  send(message: ControlMessage): void {
    if (!this.#open) return;
    this.#socket.send(encodeMessage(message));
    if (this.#socket.bufferedAmount > controlLimits.sendBufferBytesMax) {
      this.#drop(new ControlError("PROTOCOL", "the peer does not read what it asks for"));
    }
  }

  /** Ends the connection in order; what was sent before still arrives. */
  close(error?: ControlError): void {
    if (!this.#open) return;
    const reason = error ?? new ControlError("CLOSED", "closed by this side");
    if (error) this.#socket.close(closeCodeOf(error.code), closeReason(error));
    else this.#socket.close(1000);
    this.#finish(reason);
  }

  #drop(error: ControlError): void {
    this.#socket.terminate();
    this.#finish(error);
  }

  #heard(): void {
    this.#heardAtMs = performance.now();
  }

  #keepAlive(idleMs: number): void {
    if (performance.now() - this.#heardAtMs > idleMs) {
      this.#drop(new ControlError("TIMEOUT", "the connection showed no life"));
    } else {
      this.#socket.ping();
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (!this.#open) return;
    this.#heard();
    try {
      if (!isBinary) throw new ControlError("PROTOCOL", "control messages are binary");
      this.#handler.message(decodeMessage(data));
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      this.close(error);
    }
  }

  #finish(error: ControlError): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#ping);
    // A peer that does not answer the close is cut off, so that it cannot keep the socket.
    const cut = setTimeout(() => this.#socket.terminate(), 1_000);
    cut.unref();
    this.#socket.once("close", () => clearTimeout(cut));
    this.#handler.closed(error);
  }
}

/** At most 123 bytes fit into a WebSocket close frame. */
export function closeReason(error: ControlError): string {
  return error.message.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);
}
