import { existsSync, lstatSync, unlinkSync } from "node:fs";
import net from "node:net";
import { dirname } from "node:path";
import type { BlockPool } from "../base/blocks.ts";
import { NswapError } from "../base/errors.ts";
import { formatHostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import { OutQueue } from "../base/out-queue.ts";
import type { NbdConnection } from "../client/nbd-connection.ts";
import type { NbdFront } from "../client/nbd-front.ts";
import { expireLooks } from "./peer-closed.ts";
import { adoptRaw } from "./raw-socket.ts";
import type { ReceiveRegion } from "./receive-region.ts";
import { type StreamHandler, StreamSocket } from "./stream-socket.ts";
import type { TurnFlusher } from "./turn-flusher.ts";

export interface NbdListenerOptions {
  front: NbdFront;
  region: ReceiveRegion;
  sendPool: BlockPool;
  carryPool: BlockPool;
  flusher: TurnFlusher;
  nowMs: () => number;
  /** See StreamSocket. */
  failed?: (error: NswapError) => void;
  notice: Notice;
}

/** Where a listener listens. */
export type NbdAddress = { path: string } | { host: string; port: number };

/** Accepts NBD clients on one address and connects each with the front. */
export class NbdListener {
  readonly #options: NbdListenerOptions;
  readonly #server: net.Server;
  readonly #sockets = new Set<StreamSocket>();
  /** Of the Unix socket, if it is one. */
  readonly #path: string | undefined;

  private constructor(address: NbdAddress, options: NbdListenerOptions) {
    this.#options = options;
    this.#path = "path" in address ? address.path : undefined;
    this.#server = net.createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
  }

  /** Listens; a dead Unix socket left in the way is replaced, one that answers is an error. */
  static async start(address: NbdAddress, options: NbdListenerOptions): Promise<NbdListener> {
    if ("path" in address) await clearSocketPath(address.path);
    const listener = new NbdListener(address, options);
    await listen(listener.#server, address);
    listener.#server.on("error", (error) =>
      options.notice("cannot accept an NBD client", { why: error.message }, "warn"),
    );
    return listener;
  }

  /** The address in use, with the port that was picked for port 0. */
  get address(): string | net.AddressInfo {
    return this.#server.address()!;
  }

  #accept(accepted: net.Socket): void {
    const { front, region, sendPool, carryPool, flusher, nowMs, failed } = this.#options;
    // A socket outlives its session while the other side does not close.
    if (Math.max(front.connections, this.#sockets.size) >= limits.nbdConnectionsMax) {
      accepted.destroy();
      return;
    }
    const out = new OutQueue(sendPool, () => socket.markDirty());
    const handler: StreamHandler = {
      receive: (bytes, start, end) => connection.receive(bytes, start, end),
      get unfinishedBytes() {
        return connection.session.payloadLeft;
      },
      drained: () => connection.drained(),
      inputEnded: () => connection.inputEnded(),
      ended: () => {
        this.#sockets.delete(socket);
        connection.disconnected();
      },
    };
    const socket = new StreamSocket(out, handler, {
      region,
      carryPool,
      flusher,
      failed,
      turnBytes: limits.nbdTurnBytes,
    });
    const port = {
      peer: this.#path ?? addressOf(accepted),
      resume: () => socket.resume(),
      probe: (atOnce?: boolean) => socket.probe(atOnce),
      finish: () => socket.finish(),
      destroy: (error: Error) => socket.destroy(error),
    };
    let connection: NbdConnection;
    expireLooks();
    try {
      connection = front.connect(out, port, nowMs());
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      this.#options.notice("an NBD client is turned away", { why: error.message }, "warn");
      accepted.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.attach((into, onRead) => {
      const adopted = adoptRaw(accepted, into, onRead);
      // As often as the system says (net.ipv4.tcp_keepalive_*), for what vanished without a word. With a delay of its
      // own Node gives up after ten probes a second apart: a switch that restarts would cost a machine its swap.
      if (this.#path === undefined) adopted.setKeepAlive(true);
      return adopted;
    });
  }

  /** Stops accepting; connections stay. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Closes everything at once. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Listens and turns the usual failures into errors that say what to do. */
export function listen(server: net.Server, address: NbdAddress): Promise<void> {
  const where = "path" in address ? address.path : formatHostPort(address);
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const used = cause.code === "EADDRINUSE";
      const message = used ? `${where} is in use already` : `cannot listen on ${where}: ${cause.message}`;
      reject(new NswapError(used ? "ADDRESS_IN_USE" : "ADDRESS_REFUSED", message, { cause }));
    });
    server.listen(address, () => resolve());
  });
}

/** Where a connection comes from, for people. */
function addressOf({ remoteAddress: host, remotePort: port }: net.Socket): string {
  return host === undefined || port === undefined ? "(gone already)" : formatHostPort({ host, port });
}

async function clearSocketPath(path: string): Promise<void> {
  // Node would say EACCES.
  if (!existsSync(dirname(path)))
    throw new NswapError("ADDRESS_REFUSED", `cannot listen on ${path}: its directory does not exist`);
  if (!existsSync(path)) return;
  // Whatever else a mistyped path names is not ours to delete.
  if (!lstatSync(path).isSocket())
    throw new NswapError("ADDRESS_IN_USE", `${path} exists and is not a socket`);
  const alive = await new Promise<boolean>((resolve) => {
    const probe = net.connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
  if (alive) throw new NswapError("ADDRESS_IN_USE", `${path} is in use already`);
  unlinkSync(path);
}
