import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { type ControlTiming, controlLimits } from "../../base/control-limits.ts";
import { type HostPort, isLoopbackHost } from "../../base/host-port.ts";
import type { Log } from "../../base/log.ts";
import type { ClusterKey } from "../cluster-key.ts";
import { listen } from "../nbd-listener.ts";
import { type ChannelHandler, ControlChannel, closeReason, messageBounds } from "./channel.ts";
import { ControlError, closeCodeOf } from "./control-error.ts";
import { AcceptorHandshake, type Purpose } from "./handshake.ts";
import { answerHttp, type HttpPages, refusalOfRequest } from "./http-pages.ts";

/** Where control connections are made to: `ws://HOST:PORT/control`. */
export const controlPath = "/control";

export interface ControlServerOptions {
  readonly listen: HostPort;
  readonly key: ClusterKey | null;
  readonly timing: ControlTiming;
  readonly log: Log;
  readonly pages: HttpPages;
  /** Called once a connection has finished its handshake. */
  accept(purpose: Purpose, channel: () => ControlChannel): ChannelHandler;
}

/** The listening side of a control port: HTTP pages and WebSocket connections, bounded in number, size and time. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #http: Server;
  readonly #ws: WebSocketServer;
  readonly #sockets = new Set<Socket>();
  /** Those of them that have not said who they are, in the order in which they came. */
  readonly #strangers = new Set<Socket>();
  /** Those of the strangers whose handshake is under way. */
  readonly #handshakes = new Set<Socket>();

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#http = createServer(
      {
        maxHeaderSize: controlLimits.httpHeaderBytesMax,
        headersTimeout: options.timing.handshakeMs,
        requestTimeout: options.timing.handshakeMs,
        connectionsCheckingInterval: Math.min(1_000, options.timing.handshakeMs),
        keepAliveTimeout: 1_000,
      },
      (request, response) => this.#answer(request, response),
    );
    this.#http.on("connection", (socket) => this.#track(socket));
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#badRequest(error, socket));
    this.#ws = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      ...messageBounds,
    });
  }

  /** Binds the port. @throws NswapError ADDRESS_IN_USE or ADDRESS_REFUSED */
  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options);
    await listen(server.#http, options.listen);
    server.#http.on("error", (error) => options.log.error("control port error", { error: error.message }));
    return server;
  }

  /** The bound address. */
  get address(): HostPort {
    const bound = this.#http.address();
    if (bound === null || typeof bound === "string") throw new Error("the control port is not bound");
    return { host: bound.address, port: bound.port };
  }

  /** Stops listening and ends every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#http.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #track(socket: Socket): void {
    this.#makeRoom(this.#strangers, controlLimits.strangersMax);
    this.#sockets.add(socket);
    this.#strangers.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#forget(socket);
      this.#sockets.delete(socket);
    });
  }

  /** Whoever means to say who it is does so at once: it is the silent ones that have been here for long. */
  #makeRoom(waiting: ReadonlySet<Socket>, countMax: number): void {
    const [oldest] = waiting;
    if (oldest === undefined || waiting.size < countMax) return;
    this.#forget(oldest);
    oldest.destroy();
  }

  /** It has said who it is, or is gone. */
  #forget(stranger: Socket): void {
    this.#strangers.delete(stranger);
    this.#handshakes.delete(stranger);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // One request a connection, and no body is ever read.
    response.setHeader("Connection", "close");
    response.once("finish", () => request.socket.destroySoon());
    const { key, listen, pages } = this.#options;
    answerHttp(request, response, { keyed: key !== null, onLoopback: isLoopbackHost(listen.host), pages });
  }

  #badRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (socket.destroyed || error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "408 Request Timeout" : "400 Bad Request";
    endWith(socket, status, "this is the control port of nswap: HTTP and WebSocket");
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.#refusalOfUpgrade(request);
    if (refusal !== null) {
      endWith(socket, refusal.status, refusal.text);
      return;
    }
    const deadline = setTimeout(() => socket.destroy(), this.#options.timing.handshakeMs);
    socket.once("close", () => clearTimeout(deadline));
    try {
      this.#ws.handleUpgrade(request, socket, head, (webSocket) => {
        clearTimeout(deadline);
        this.#shakeHands(webSocket, request.socket);
      });
    } catch (error) {
      const from = request.socket.remoteAddress;
      this.#options.log.warn("control connection refused", { from, reason: (error as Error).message });
      socket.destroy();
    }
  }

  #refusalOfUpgrade(request: IncomingMessage): { status: string; text: string } | null {
    const { key, listen } = this.#options;
    const text = refusalOfRequest(request, key === null && isLoopbackHost(listen.host));
    if (text !== null) return { status: "403 Forbidden", text };
    if (request.url !== controlPath)
      return { status: "404 Not Found", text: `WebSocket is at ${controlPath}` };
    return null;
  }

  #shakeHands(socket: WebSocket, stranger: Socket): void {
    const { key, timing, log } = this.#options;
    const from = stranger.remoteAddress;
    const handshake = new AcceptorHandshake(key);
    this.#makeRoom(this.#handshakes, controlLimits.handshakesMax);
    this.#handshakes.add(stranger);
    const end = () => {
      clearTimeout(deadline);
      socket.off("message", take);
      socket.off("ping", chat);
      socket.off("pong", chat);
      socket.off("close", end);
    };
    const refuse = (error: ControlError) => {
      end();
      log.warn("control connection refused", { from, code: error.code, reason: error.message });
      refuseSocket(socket, error);
    };
    const take = (data: Buffer, isBinary: boolean) => {
      try {
        if (!isBinary) throw new ControlError("PROTOCOL", "not the handshake of an nswap control port");
        const step = handshake.take(data);
        if (step.done) this.#checkRoom();
        if (step.send) socket.send(step.send);
        if (!step.done) return;
        end();
        this.#forget(stranger);
        this.#open(socket, handshake.purpose);
      } catch (error) {
        if (!(error instanceof ControlError)) throw error;
        refuse(error);
      }
    };
    // Nothing but the handshake is worth the reading until it is done.
    const chat = () => refuse(new ControlError("PROTOCOL", "not the handshake of an nswap control port"));
    const deadline = setTimeout(
      () => refuse(new ControlError("TIMEOUT", "the handshake took too long")),
      timing.handshakeMs,
    );
    socket.on("error", () => {});
    socket.on("message", take);
    socket.on("ping", chat);
    socket.on("pong", chat);
    socket.on("close", end);
  }

  #checkRoom(): void {
    const { connectionsMax } = controlLimits;
    if (this.#sockets.size - this.#strangers.size < connectionsMax) return;
    throw new ControlError("BUSY", `this node takes at most ${connectionsMax} control connections`);
  }

  #open(socket: WebSocket, purpose: Purpose): void {
    // The handler is made first and answers through the channel, which exists before the first message can come.
    const handler = this.#options.accept(purpose, () => channel);
    const channel: ControlChannel = new ControlChannel(socket, handler, this.#options.timing);
  }
}

function refuseSocket(socket: WebSocket, error: ControlError): void {
  socket.close(closeCodeOf(error.code), closeReason(error));
  const cut = setTimeout(() => socket.terminate(), 1_000);
  cut.unref();
  socket.once("close", () => clearTimeout(cut));
}

function endWith(socket: Duplex, status: string, text: string): void {
  const body = `${text}\n`;
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
