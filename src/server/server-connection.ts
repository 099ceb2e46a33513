import {
  type FrameHandler,
  FrameReader,
  FrameType,
  Handshake,
  type Hello,
  PeerError,
  type Prover,
  putCapacityFrame,
  putError,
  Role,
  remoteError,
  WireError,
} from "../../proto/peer/index.ts";
import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { ClientRequests, noRoomForAnswers, type RequestHost } from "./client-requests.ts";
import type { ClientRecord } from "./client-table.ts";
import type { ExtraRequests } from "./server-extension.ts";

/** What a connection needs of its server. */
export interface ConnectionHost extends RequestHost {
  readonly prover: Prover | undefined;
  /** What the server is. A memory server serves parity servers too, in the name of clients. */
  readonly role: typeof Role.SERVER | typeof Role.PARITY;
  /** This server's HELLO, with a fresh nonce. */
  hello(): Hello;
  /** The client has proved who it is; throws PeerError if it is not welcome. */
  admit(hello: Hello, connection: ServerConnection): ClientRecord;
  /** The client leaves for good. */
  leave(client: ClientRecord): void;
  /** The connection has something to do at the end of the turn. */
  touch(connection: ServerConnection): void;
  /** The connection is over (once). */
  over(connection: ServerConnection): void;
  /** What takes the frames of this client's connection that a memory server does not know; `touch`: see there. */
  extend(client: ClientRecord, out: OutQueue, touch: () => void): ExtraRequests | undefined;
}

const NOTHING = new Uint8Array(0);

/** The server's side of one connection of the page protocol: handshake, then the requests of one client. */
export class ServerConnection implements FrameHandler {
  readonly #host: ConnectionHost;
  readonly #out: OutQueue;
  readonly #onClosed: (() => void) | undefined;
  readonly #reader = new FrameReader(this);
  #handshake: Handshake | undefined;
  #client: ClientRecord | undefined;
  #peerRole: Role = Role.CLIENT;
  #requests: ClientRequests | undefined;
  #extra: ExtraRequests | undefined;
  #closed: PeerError | "ended" | undefined;
  #gone = false;
  #touched = false;
  #heard = false;
  #madeMs: number | undefined;
  #heardMs = 0;

  /** Made by MemoryServerCore.connect. */
  constructor(host: ConnectionHost, out: OutQueue, onClosed: (() => void) | undefined) {
    this.#host = host;
    this.#out = out;
    this.#onClosed = onClosed;
    this.#handshake = new Handshake("acceptor", host.hello(), out, host.prover);
  }

  /** Why the connection is over, "ended" if nothing was wrong: the driver sends what is queued, then closes. */
  get closed(): PeerError | "ended" | undefined {
    return this.#closed;
  }

  /** True while a request waits until answers have gone out; then `resume`. */
  get stalled(): boolean {
    return this.#closed === undefined && this.#reader.stalled;
  }

  /** True if a parity server is on the other side, which moves the client's pages. */
  get fromParity(): boolean {
    return this.#peerRole === Role.PARITY;
  }

  /** The client, once it has proved who it is. */
  get client(): ClientRecord | undefined {
    return this.#client;
  }

  /**
   * Takes bytes [start, end) and returns how many were taken; fewer only while `stalled`, and then the rest is to be
   * given again after answers have gone out. Never throws for anything the peer sent.
   */
  receive(bytes: Uint8Array, start: number, end: number): number {
    if (this.#isOver()) return end - start;
    if (end > start) this.#heard = true;
    try {
      const taken = this.#reader.receive(bytes, start, end);
      return this.#isOver() ? end - start : taken;
    } catch (error) {
      this.#fail(error);
      return end - start;
    }
  }

  /** Answers have gone out: goes on with a request that waited. */
  resume(): void {
    if (this.stalled) this.receive(NOTHING, 0, 0);
  }

  /** The transport is gone. */
  disconnected(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#closed === undefined) this.#detach();
  }

  /** Ends the connection from this side, with an ERROR unless "ended". */
  close(why: PeerError | "ended"): void {
    if (this.#isOver()) return;
    this.#closed = why;
    this.#detach();
    try {
      this.#requests?.flush();
      if (why !== "ended" && !why.remote) putError(this.#out, why.wireCode, why.message);
    } catch (error) {
      // Without memory for a last word the connection is closed without one.
      if (!isLimit(error)) throw error;
    }
    this.#onClosed?.();
  }

  /** End of the turn: what was batched up is encoded. */
  flush(): void {
    this.#touched = false;
    if (this.#isOver()) return;
    try {
      this.#requests?.flush();
      this.#extra?.flush();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Closes a connection that does not say who it is, or that has been silent for too long. */
  tick(nowMs: number): void {
    if (this.#madeMs === undefined) {
      this.#madeMs = nowMs;
      this.#heardMs = nowMs;
    }
    if (this.#heard) this.#heardMs = nowMs;
    this.#heard = false;
    if (this.#client === undefined && nowMs - this.#madeMs >= limits.handshakeMsMax) {
      const message = `the handshake was not complete within ${limits.handshakeMsMax} ms`;
      this.close(new PeerError(WireError.TIMEOUT, message));
    } else if (nowMs - this.#heardMs >= limits.dataSilenceMsMax) {
      const message = `nothing was heard for ${limits.dataSilenceMsMax} ms`;
      this.close(new PeerError(WireError.TIMEOUT, message));
    }
  }

  #isOver(): boolean {
    return this.#closed !== undefined || this.#gone;
  }

  #fail(error: unknown): void {
    if (error instanceof PeerError) this.close(error);
    else if (isLimit(error)) this.close(noRoomForAnswers());
    else throw error;
  }

  #detach(): void {
    this.#requests?.abort();
    this.#extra?.abort();
    this.#host.over(this);
  }

  // What the reader brings.

  header(reader: FrameReader): boolean {
    if (this.#isOver()) return false;
    if (this.#handshake !== undefined) {
      this.#handshake.expect(reader);
      return true;
    }
    switch (reader.type) {
      case FrameType.PUTPAGE:
      case FrameType.GETPAGE:
      case FrameType.INVALIDATE:
      case FrameType.PING:
        return this.#requests!.admits(reader);
      case FrameType.LIST:
        this.#expectClient(reader);
        return this.#requests!.admits(reader);
      case FrameType.GOODBYE:
        this.#expectClient(reader);
        return true;
      case FrameType.ERROR:
        return true;
      default:
        if (this.#extra?.takes(reader.type))
          return this.#requests!.admits(reader) && this.#extra.admits(reader);
        throw new PeerError(WireError.PROTOCOL, `a client may not send ${reader.typeName} now`);
    }
  }

  #expectClient(reader: FrameReader): void {
    if (this.fromParity)
      throw new PeerError(WireError.PROTOCOL, `a parity server may not send ${reader.typeName}`);
  }

  body(reader: FrameReader): void {
    if (reader.type === FrameType.PUTPAGE) this.#requests!.beginPut();
  }

  page(
    reader: FrameReader,
    index: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    position: number,
  ): void {
    this.#requests!.page(reader.body, index, bytes, start, end, position);
  }

  pages(reader: FrameReader, index: number, count: number, bytes: Uint8Array, start: number): void {
    this.#requests!.pages(reader.body, index, count, bytes, start);
  }

  end(reader: FrameReader): void {
    if (this.#handshake !== undefined) this.#shakeHands(this.#handshake, reader);
    else if (reader.type === FrameType.GOODBYE) this.#host.leave(this.#client!);
    else if (reader.type === FrameType.ERROR) throw remoteError(reader);
    else if (this.#extra?.takes(reader.type)) this.#extra.end(reader);
    else if (this.#requests!.end(reader)) this.#touch();
  }

  /** Has `flush` called at the end of the turn. */
  #touch(): void {
    if (this.#touched || this.#isOver()) return;
    this.#touched = true;
    this.#host.touch(this);
  }

  #shakeHands(handshake: Handshake, reader: FrameReader): void {
    handshake.take(reader);
    if (!handshake.complete) return;
    const peer = handshake.peer!;
    const served =
      peer.role === Role.CLIENT || (peer.role === Role.PARITY && this.#host.role === Role.SERVER);
    if (!served) {
      throw new PeerError(WireError.PROTOCOL, `"${peer.name}" is no client; this port serves clients only`);
    }
    this.#peerRole = peer.role;
    this.#client = this.#host.admit(peer, this);
    this.#requests = new ClientRequests(this.#host, this.#out, this.#client.index, peer.pagesPerFrame);
    this.#extra = this.#host.extend(this.#client, this.#out, () => this.#touch());
    this.#handshake = undefined;
    putCapacityFrame(this.#out, FrameType.WELCOME, this.#host.capacity);
  }
}

const isLimit = (error: unknown): boolean => error instanceof NswapError && error.code === "LIMIT_REACHED";
