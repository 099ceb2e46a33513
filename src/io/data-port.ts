import net from "node:net";
import { PeerError, putError, WireError } from "../../proto/peer/index.ts";
import { HeapBlockPool } from "../base/blocks.ts";
import { limits } from "../base/limits.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { DataServer } from "../server/data-server.ts";
import type { ServerConnection } from "../server/server-connection.ts";
import { listen } from "./nbd-listener.ts";
import { adoptRaw } from "./raw-socket.ts";
import { ownReceiveRegion } from "./receive-region.ts";
import { type StreamHandler, StreamSocket } from "./stream-socket.ts";
import { TurnFlusher } from "./turn-flusher.ts";

export interface DataPortOptions {
  core: DataServer;
  /** The pool that the core was told of. */
  sendPool: HeapBlockPool;
  /** The listening socket failed after it was bound; or a connection did, for no fault of the other side. */
  onError: (error: Error) => void;
  connectionsMax?: number;
  handshakesMax?: number;
  /** See TurnFlusher: for a core that only answers. */
  afterEachRead?: boolean;
}

/** The pool for a data port's answers, as limits say. */
export const newDataPool = (): HeapBlockPool =>
  new HeapBlockPool(limits.dataBlocksMax, limits.dataBlockBytes);

/** Accepts clients of the page protocol over TCP and connects each with the core of a memory or parity server. */
export class DataPort {
  readonly #options: DataPortOptions;
  readonly #server: net.Server;
  readonly #connectionsMax: number;
  readonly #handshakesMax: number;
  readonly #region = ownReceiveRegion();
  readonly #carryPool: HeapBlockPool;
  readonly #flusher: TurnFlusher;
  readonly #sockets = new Set<StreamSocket>();
  /** Those of them that have not said who they are, in the order in which they came. */
  readonly #strangers = new Set<StreamSocket>();
  readonly #refused = new Set<net.Socket>();

  private constructor(options: DataPortOptions) {
    this.#options = options;
    this.#connectionsMax = options.connectionsMax ?? limits.dataConnectionsMax;
    this.#handshakesMax = options.handshakesMax ?? limits.dataHandshakesMax;
    this.#carryPool = new HeapBlockPool(this.#connectionsMax + this.#handshakesMax, limits.receiveBytesMax);
    this.#flusher = new TurnFlusher({
      beforeFlush: () => options.core.flush(),
      afterEachRead: options.afterEachRead ?? false,
    });
    this.#server = net.createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
  }

  /** Listens; throws NswapError ADDRESS_IN_USE or ADDRESS_REFUSED. */
  static async start(address: { host: string; port: number }, options: DataPortOptions): Promise<DataPort> {
    const port = new DataPort(options);
    await listen(port.#server, address);
    port.#server.on("error", options.onError);
    return port;
  }

  /** The address in use, with the port that was picked for port 0. */
  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as net.AddressInfo;
    return { host: address, port };
  }

  /** Whose turn the connections share: sockets of the same core's links are to share it too. */
  get flusher(): TurnFlusher {
    return this.#flusher;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  #accept(accepted: net.Socket): void {
    if (this.#sockets.size - this.#strangers.size >= this.#connectionsMax) {
      this.#refuse(accepted);
      return;
    }
    // Whoever means to say who it is does so at once: it is the silent ones that have been here for long.
    const [oldest] = this.#strangers;
    if (this.#strangers.size >= this.#handshakesMax) oldest?.destroy();
    const out = new OutQueue(this.#options.sendPool, () => socket.markDirty());
    const handler: StreamHandler = {
      receive: (bytes, start, end) => {
        const taken = connection.receive(bytes, start, end);
        if (connection.client !== undefined && this.#strangers.delete(socket)) this.#count(connection);
        return taken;
      },
      drained: () => {
        connection.resume();
        socket.resume();
      },
      ended: () => {
        this.#sockets.delete(socket);
        this.#strangers.delete(socket);
        connection.disconnected();
        // What it held may be what others wait for.
        this.#flusher.wake();
      },
    };
    const socket = new StreamSocket(out, handler, {
      region: this.#region,
      carryPool: this.#carryPool,
      flusher: this.#flusher,
      failed: this.#options.onError,
    });
    const connection = this.#options.core.connect(out, () => socket.finish());
    this.#sockets.add(socket);
    this.#strangers.add(socket);
    socket.attach((into, onRead) => adoptRaw(accepted, into, onRead));
  }

  /** One more that has said who it is: of several at a time, the last may be one too many. */
  #count(connection: ServerConnection): void {
    if (this.#sockets.size - this.#strangers.size <= this.#connectionsMax) return;
    connection.close(new PeerError(WireError.TOO_MANY_CONNECTIONS, this.#tooMany));
  }

  get #tooMany(): string {
    return `this server takes at most ${this.#connectionsMax} connections`;
  }

  /** Says why before it closes; reads on meanwhile, or the system would drop what was said with the connection. */
  #refuse(socket: net.Socket): void {
    socket.on("error", () => {});
    if (this.#refused.size >= limits.dataRefusalsMax) {
      socket.destroy();
      return;
    }
    this.#refused.add(socket);
    const timer = setTimeout(() => socket.destroy(), limits.finishMsMax);
    socket.on("close", () => {
      clearTimeout(timer);
      this.#refused.delete(socket);
    });
    const out = new OutQueue(new HeapBlockPool(1, limits.dataBlockBytes));
    putError(out, WireError.TOO_MANY_CONNECTIONS, this.#tooMany);
    socket.end(out.piece(0));
    socket.on("data", () => {});
    socket.resume();
  }

  /** Tells the core the time, and sends what that brought about. */
  tick(nowMs: number): void {
    this.#options.core.tick(nowMs);
    this.#flusher.wake();
  }

  /** Stops accepting; connections stay. */
  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Closes everything at once. */
  close(): void {
    this.stopAccepting();
    for (const socket of this.#sockets) socket.destroy();
    for (const socket of this.#refused) socket.destroy();
  }
}
