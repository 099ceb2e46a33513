import { Role } from "../../proto/peer/index.ts";
import { Arena } from "../../src/base/arena.ts";
import { ArenaBlockPool, HeapBlockPool } from "../../src/base/blocks.ts";
import { limits } from "../../src/base/limits.ts";
import { messageText, type Notice } from "../../src/base/log.ts";
import { OutQueue } from "../../src/base/out-queue.ts";
import { PAGE_BYTES } from "../../src/base/page.ts";
import { Prng } from "../../src/base/prng.ts";
import { ClientCore } from "../../src/client/client-core.ts";
import { NO_FRAME } from "../../src/client/frame-table.ts";
import type { NbdConnection } from "../../src/client/nbd-connection.ts";
import { NbdFront } from "../../src/client/nbd-front.ts";
import { PageResult, type PageWaiter } from "../../src/client/page-waiter.ts";
import type { ServerLink } from "../../src/client/server-link.ts";
import type { HolderRole } from "../../src/placement/holder.ts";
import { MemoryServerCore } from "../../src/server/memory-server.ts";
import type { ServerConnection } from "../../src/server/server-connection.ts";

/** A memory server without sockets; `key` is what its identity is made of, and its name unless it has another. */
export function memoryServer(key: string, capacityFrames = 4096, name = key): MemoryServerCore {
  return new MemoryServerCore({
    identity: new Uint8Array(16).fill(key.charCodeAt(0)),
    name,
    capacityFrames,
    nonce: () => new Uint8Array(32),
    hashSeed: 1,
  });
}

/** Both ends of a link, and two queues that stand for the network between them. */
export interface Wire {
  link: ServerLink;
  clientOut: OutQueue;
  server: MemoryServerCore;
  connection: ServerConnection;
  serverOut: OutQueue;
  /** False: what the client sent stays in its queue. */
  toServer: boolean;
  /** False: what the server sent stays in its queue. */
  toClient: boolean;
  cut: boolean;
}

/** The outcome of one page's read or write. */
export interface Outcome {
  done: boolean;
  result: PageResult | undefined;
  bytes: Uint8Array | undefined;
}

export interface TestClientOptions {
  slots?: number;
  frames?: number;
  peerBlocks?: number;
  nbdBlocks?: number;
  seed?: number;
  /** Byte that its identity is made of. */
  identity?: number;
  redundancy?: "none" | "mirror" | "parity";
  groupSize?: number;
  accumulators?: number;
}

/** A client's core and NBD front over queues in memory: nothing happens but in `turn` and `pump`. */
export class TestClient {
  readonly arena: Arena;
  readonly core: ClientCore;
  readonly front: NbdFront;
  readonly peerPool: ArenaBlockPool;
  readonly nbdPool: ArenaBlockPool;
  readonly wires: Wire[] = [];
  readonly notices: string[] = [];
  notice: Notice = (message, fields) => void this.notices.push(messageText(message, fields));
  nowMs = 0;
  readonly region: number;

  constructor(options: TestClientOptions = {}) {
    const frames = options.frames ?? 4096;
    const peerBytes = (options.peerBlocks ?? limits.peerBlocks) * limits.peerBlockBytes;
    const nbdBytes = (options.nbdBlocks ?? limits.nbdBlocks) * limits.nbdBlockBytes;
    const redundancy = options.redundancy ?? "none";
    const { writeHedgesMax, hedgesMax, fetchesMax } = limits;
    const accumulators = options.accumulators ?? limits.accumulators;
    const more = writeHedgesMax + (redundancy === "none" ? 0 : accumulators + hedgesMax + fetchesMax);
    this.arena = new Arena((frames + more + 4) * PAGE_BYTES + limits.receiveBytesMax + peerBytes + nbdBytes);
    const slots = options.slots ?? 65_536;
    this.core = new ClientCore({
      arena: this.arena,
      slots,
      frames,
      redundancy,
      ...(options.groupSize === undefined ? {} : { groupSize: options.groupSize }),
      limits: { ...limits, accumulators },
      prng: new Prng(options.seed ?? 1),
      own: () => ({
        role: Role.CLIENT,
        keyed: false,
        identity: new Uint8Array(16).fill(options.identity ?? 99),
        nonce: new Uint8Array(32),
        epoch: 0,
        pagesPerFrame: 64,
        name: "client",
      }),
      prover: undefined,
      port: {
        linkClosed: (link) => {
          const wire = this.wires.find((one) => one.link === link);
          if (wire !== undefined) this.cut(wire);
        },
        notice: (...said) => this.notice(...said),
      },
    });
    this.front = new NbdFront({
      arena: this.arena,
      core: this.core,
      exportName: "",
      sizeBytes: slots * PAGE_BYTES,
      answerBytesMax: nbdBytes,
      wake: () => {},
      notice: (...said) => this.notice(...said),
    });
    const { bytes, view } = this.arena;
    this.region = this.arena.allocate(limits.receiveBytesMax);
    this.peerPool = new ArenaBlockPool({
      bytes,
      view,
      start: this.arena.allocate(peerBytes),
      count: options.peerBlocks ?? limits.peerBlocks,
      blockBytes: limits.peerBlockBytes,
    });
    this.nbdPool = new ArenaBlockPool({
      bytes,
      view,
      start: this.arena.allocate(nbdBytes),
      count: options.nbdBlocks ?? limits.nbdBlocks,
      blockBytes: limits.nbdBlockBytes,
    });
  }

  /** Opens a link to a server; its handshake is done by `pump`. */
  connect(server: MemoryServerCore, role: HolderRole = "server"): Wire {
    const clientOut = new OutQueue(this.peerPool);
    const serverOut = new OutQueue(new HeapBlockPool(4096, limits.dataBlockBytes));
    const wire: Wire = {
      link: this.core.openLink(clientOut, this.nowMs, role),
      clientOut,
      server,
      connection: server.connect(serverOut),
      serverOut,
      toServer: true,
      toClient: true,
      cut: false,
    };
    this.wires.push(wire);
    return wire;
  }

  /** Connects and shakes hands. */
  join(server: MemoryServerCore, role: HolderRole = "server"): Wire {
    const wire = this.connect(server, role);
    this.pump();
    return wire;
  }

  /** The connection breaks: what is queued is gone. */
  cut(wire: Wire): void {
    if (wire.cut) return;
    wire.cut = true;
    wire.clientOut.clear();
    wire.serverOut.clear();
    this.wires.splice(this.wires.indexOf(wire), 1);
    wire.connection.disconnected();
    this.core.linkEnded(wire.link);
  }

  /** The end of a turn of the client's event loop. */
  turn(isTick = false): void {
    this.front.flush();
    this.core.flush(this.nowMs, isTick);
  }

  /** Turns and transport until nothing moves any more. */
  pump(): void {
    for (let moved = true, isTick = false; moved || !isTick; ) {
      // What waits for company goes out on a tick: once nothing else is left to be said.
      isTick = !moved;
      this.turn(isTick);
      moved = false;
      for (const wire of [...this.wires]) {
        if (wire.toServer && this.deliverToServer(wire)) moved = true;
        if (!wire.cut && wire.toClient && this.deliverToClient(wire)) moved = true;
      }
    }
  }

  deliverToServer(wire: Wire): boolean {
    if (wire.clientOut.queuedBytes === 0) return false;
    const before = wire.clientOut.queuedBytes;
    while (wire.clientOut.pieces > 0) {
      const piece = wire.clientOut.piece(0).slice();
      const taken = wire.connection.receive(piece, 0, piece.length);
      wire.clientOut.consume(taken);
      if (taken < piece.length) break;
    }
    wire.server.flush();
    return wire.clientOut.queuedBytes < before;
  }

  /** What the server has sent, or so many bytes of it. */
  deliverToClient(wire: Wire, bytes = wire.serverOut.queuedBytes): boolean {
    if (wire.serverOut.queuedBytes === 0) return false;
    for (let left = bytes; !wire.cut && left > 0 && wire.serverOut.pieces > 0; ) {
      const whole = wire.serverOut.piece(0);
      const piece = whole.subarray(0, Math.min(left, whole.length));
      left -= piece.length;
      this.arena.bytes.set(piece, this.region);
      wire.serverOut.consume(piece.length);
      wire.link.receive(this.arena.bytes, this.region, this.region + piece.length, this.nowMs);
    }
    wire.connection.resume();
    wire.server.flush();
    return true;
  }

  /** Writes a whole page; the outcome changes when it is held. */
  write(slot: number, page: Uint8Array): Outcome {
    const outcome: Outcome = { done: false, result: undefined, bytes: undefined };
    const waiter: PageWaiter = {
      pageDone: (_frame, result) => {
        outcome.done = true;
        outcome.result = result;
      },
    };
    const frame = this.core.frames.take(slot, waiter);
    this.arena.bytes.set(page, this.core.frames.address(frame));
    this.core.writePage(frame);
    return outcome;
  }

  /** Reads a page; the outcome has its bytes when they are there. */
  read(slot: number): Outcome {
    const outcome: Outcome = { done: false, result: undefined, bytes: undefined };
    const waiter: PageWaiter = {
      pageDone: (frame, result) => {
        outcome.done = true;
        outcome.result = result;
        if (frame === NO_FRAME) return;
        const at = this.core.frames.address(frame);
        if (result === PageResult.OK) outcome.bytes = this.arena.bytes.slice(at, at + PAGE_BYTES);
        this.core.frames.give(frame);
      },
    };
    this.core.readPage(this.core.frames.take(slot, waiter));
    return outcome;
  }
}

/** A page that is not one word repeated, different for each seed. */
export function pageOf(seed: number): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  for (let at = 0; at < PAGE_BYTES; at += 4) view.setUint32(at, (seed * 2_654_435_761 + at) >>> 0, true);
  return page;
}

/** One request of the NBD protocol; a WRITE's payload follows it. */
export function nbdRequest(command: number, offset: number, length: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x25609513);
  view.setUint16(4, flags);
  view.setUint16(6, command);
  view.setBigUint64(16, BigInt(offset));
  view.setUint32(24, length);
  return bytes;
}

/** An NBD client that speaks with the front of a TestClient, and takes answers only when told to. */
export class NbdPeer {
  readonly connection: NbdConnection;
  readonly out: OutQueue;
  /** Why the connection is over, as its socket was told. */
  ended: Error | "finished" | undefined;
  readonly #client: TestClient;
  /** Sent and not taken yet. */
  #unread = new Uint8Array(0);

  constructor(client: TestClient) {
    this.#client = client;
    this.out = new OutQueue(client.nbdPool);
    this.connection = client.front.connect(
      this.out,
      {
        resume: () => {},
        finish: () => {
          this.ended ??= "finished";
        },
        destroy: (error) => {
          this.ended ??= error;
          this.out.clear();
          this.connection.disconnected();
        },
      },
      client.nowMs,
    );
    const exportName = new Uint8Array(20);
    const view = new DataView(exportName.buffer);
    view.setUint32(0, 3);
    view.setBigUint64(4, 0x49484156454f5054n);
    view.setUint32(12, 1);
    this.send(exportName);
    this.answers();
  }

  get unread(): number {
    return this.#unread.length;
  }

  send(...pieces: Uint8Array[]): void {
    this.#unread = Buffer.concat([this.#unread, ...pieces]);
    this.feed();
  }

  /** Gives what was sent to the session, as far as it takes it. */
  feed(): void {
    const { arena, region } = this.#client;
    while (this.#unread.length > 0) {
      const chunk = this.#unread.subarray(0, limits.receiveBytesMax);
      arena.bytes.set(chunk, region);
      const taken = this.connection.receive(arena.bytes, region, region + chunk.length);
      this.#unread = this.#unread.subarray(taken);
      if (taken < chunk.length) return;
    }
  }

  /** Takes all answers that wait; returns their bytes. */
  answers(): Uint8Array {
    const pieces = [...Array(this.out.pieces).keys()].map((i) => this.out.piece(i).slice());
    this.out.consume(this.out.queuedBytes);
    if (pieces.length > 0) this.connection.drained();
    return Buffer.concat(pieces);
  }

  disconnect(): void {
    this.out.clear();
    this.connection.disconnected();
  }
}
