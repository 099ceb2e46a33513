import type { Socket } from "node:net";
import {
  ACK_ENTRY_BYTES,
  beginGetPage,
  beginInvalidate,
  beginPutPage,
  CAPACITY_BYTES,
  type Capacity,
  type FrameHandler,
  FrameReader,
  FrameType,
  getCapacity,
  getMismatch,
  getResult,
  getWide,
  Handshake,
  META_BYTES,
  MISMATCH_BYTES,
  type Mismatch,
  PAGE_BYTES,
  PeerError,
  type Prover,
  putBare,
  putList,
  putMeta,
  putWide,
  RESULT_ENTRY_BYTES,
  type Result,
  Role,
} from "../../../proto/peer/index.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import type { DataServer } from "../../../src/server/data-server.ts";
import { MemoryServerCore, type MemoryServerOptions } from "../../../src/server/memory-server.ts";
import type { ServerConnection } from "../../../src/server/server-connection.ts";

/** A sink that grows, for what a test sends. */
export class Script {
  bytes = new Uint8Array(1 << 16);
  view = new DataView(this.bytes.buffer);
  length = 0;

  reserve(length: number): number {
    while (this.length + length > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    const at = this.length;
    this.length += length;
    return at;
  }

  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.length = 0;
    return taken;
  }
}

export interface Meta {
  id: number;
  slot: number;
  checksum: number;
  status: number;
}

/** A frame that the server sent. */
export interface Answer {
  type: number;
  count: number;
  seq: number;
  aux: number;
  metas: Meta[];
  pages: Map<number, Uint8Array>;
  acks: { seq: number; accepted: number; status: number }[];
  results: Result[];
  mismatches: Mismatch[];
  capacity: Capacity | undefined;
  text: string;
}

/** Turns the server's bytes into answers. */
export class AnswerReader implements FrameHandler {
  readonly answers: Answer[] = [];
  handshake: Handshake | undefined;
  #pages = new Map<number, Uint8Array>();

  header(reader: FrameReader): boolean {
    if (this.handshake !== undefined && reader.type !== FrameType.ERROR) this.handshake.expect(reader);
    return true;
  }

  body(): void {
    this.#pages = new Map();
  }

  page(_: FrameReader, index: number, bytes: Uint8Array, start: number, end: number, position: number): void {
    const page = this.#pages.get(index) ?? new Uint8Array(PAGE_BYTES);
    page.set(bytes.subarray(start, end), position);
    this.#pages.set(index, page);
  }

  end(reader: FrameReader): void {
    const { type, count, seq, aux, body } = reader;
    const answer: Answer = {
      type,
      count,
      seq,
      aux,
      metas: [],
      pages: this.#pages,
      acks: [],
      results: [],
      mismatches: [],
      capacity: undefined,
      text: new TextDecoder().decode(reader.bodyRaw.subarray(0, reader.fixedBytes)),
    };
    if (type === FrameType.PAGES || type === FrameType.LISTING) {
      for (let i = 0; i < count; i += 1) {
        const at = i * META_BYTES;
        answer.metas.push({
          id: getWide(body, at),
          slot: getWide(body, at + 8),
          checksum: body.getUint32(at + 16, true),
          status: body.getUint32(at + 20, true),
        });
      }
    }
    if (type === FrameType.ACK || type === FrameType.PONG || type === FrameType.WELCOME) {
      answer.capacity = { free: 0, limit: 0, used: 0 };
      getCapacity(body, 0, answer.capacity);
    }
    for (let i = 0; type === FrameType.ACK && i < count; i += 1) {
      const at = CAPACITY_BYTES + i * ACK_ENTRY_BYTES;
      const accepted = body.getUint16(at + 4, true);
      answer.acks.push({ seq: body.getUint32(at, true), accepted, status: body.getUint16(at + 6, true) });
    }
    for (let i = 0; type === FrameType.RESULT && i < count; i += 1) {
      const result: Result = { seq: 0, index: 0, status: 0, checksum: 0 };
      getResult(body, CAPACITY_BYTES + i * RESULT_ENTRY_BYTES, result);
      answer.results.push(result);
    }
    for (let i = 0; type === FrameType.MISMATCH && i < count; i += 1) {
      const mismatch: Mismatch = { groupId: 0, pageId: 0, handle: 0 };
      getMismatch(body, i * MISMATCH_BYTES, mismatch);
      answer.mismatches.push(mismatch);
    }
    this.answers.push(answer);
    if (type !== FrameType.ERROR) this.#shakeHands(reader);
  }

  /** A client that is not convinced goes on listening, to see what the server says. */
  #shakeHands(reader: FrameReader): void {
    try {
      this.handshake?.take(reader);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.handshake = undefined;
    }
    if (this.handshake?.complete) this.handshake = undefined;
  }
}

export interface ClientOptions {
  identity?: number;
  epoch?: number;
  name?: string;
  role?: Role;
  prover?: Prover;
  pagesPerFrame?: number;
}

/** Content that tells page ids and versions apart. */
export function pageOf(id: number, version = 0): Uint8Array {
  const words = new Uint32Array(PAGE_BYTES / 4);
  for (let i = 0; i < words.length; i += 1) words[i] = Math.imul(id + version * 7_919 + i, 0x9e3779b1);
  return new Uint8Array(words.buffer);
}

/** Frames of a client, queued in `script`. */
export class RequestScript {
  readonly script = new Script();
  readonly reader = new AnswerReader();
  readonly #options: ClientOptions;
  #seq = 0;

  constructor(options: ClientOptions = {}) {
    this.#options = options;
  }

  /** Queues the connector's HELLO; the rest of the handshake follows from the answers. */
  hello(): this {
    const {
      identity = 1,
      epoch = 1,
      name = "client",
      role = Role.CLIENT,
      pagesPerFrame = 64,
    } = this.#options;
    const own = {
      role,
      keyed: false,
      identity: new Uint8Array(16).fill(identity),
      nonce: new Uint8Array(32).fill(9),
      epoch,
      pagesPerFrame,
      name,
    };
    this.reader.handshake = new Handshake("connector", own, this.script, this.#options.prover);
    this.reader.handshake.start();
    return this;
  }

  /** What pages are said to have; a memory server keeps it and does not look at it. */
  checksumOf = (id: number, version: number): number => (id + version) >>> 0;

  put(ids: number[], version = 0, seq = this.#seq++): this {
    const at = beginPutPage(this.script, ids.length, seq);
    ids.forEach((id, i) => {
      putMeta(this.script.view, at + i * META_BYTES, id, id + 1_000_000, this.checksumOf(id, version), 0);
    });
    for (const id of ids) {
      const to = this.script.reserve(PAGE_BYTES);
      this.script.bytes.set(pageOf(id, version), to);
    }
    return this;
  }

  get(ids: number[], seq = this.#seq++): this {
    const at = beginGetPage(this.script, ids.length, seq);
    ids.forEach((id, i) => {
      putWide(this.script.view, at + i * 8, id);
    });
    return this;
  }

  invalidate(ids: number[]): this {
    const at = beginInvalidate(this.script, ids.length);
    ids.forEach((id, i) => {
      putWide(this.script.view, at + i * 8, id);
    });
    return this;
  }

  list(cursor: number): this {
    putList(this.script, cursor);
    return this;
  }

  bare(type: number, seq = 0): this {
    putBare(this.script, type, seq);
    return this;
  }
}

/** A client of a core in the same thread: what is queued is given in one piece or as cut. */
export class TestClient extends RequestScript {
  readonly out: OutQueue;
  readonly connection: ServerConnection;
  closedTold = 0;
  readonly #core: DataServer;
  readonly #frames = new FrameReader(this.reader);

  constructor(core: DataServer, options: ClientOptions = {}, pool = new HeapBlockPool(64)) {
    super(options);
    this.#core = core;
    this.out = new OutQueue(pool);
    this.connection = core.connect(this.out, () => {
      this.closedTold += 1;
    });
  }

  /** Shakes hands and expects to be welcome. */
  enter(): this {
    let last = this.hello().send().answers().at(-1);
    if (this.script.length > 0) last = this.send().answers().at(-1);
    if (last?.type !== FrameType.WELCOME) throw new Error(`not welcome: ${last?.text}`);
    return this;
  }

  /** Gives what is queued to the server, in pieces of `pieceBytes`, and ends the turn. */
  send(pieceBytes = Number.POSITIVE_INFINITY): this {
    this.feed(this.script.take(), pieceBytes);
    this.#core.flush();
    return this;
  }

  /** Gives bytes to the server; returns how many it took. */
  feed(bytes: Uint8Array, pieceBytes = Number.POSITIVE_INFINITY): number {
    let at = 0;
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + pieceBytes);
      at += this.connection.receive(bytes, at, end);
      if (at < end) break;
    }
    return at;
  }

  /** What the server has sent since it was last asked for. */
  answers(): Answer[] {
    this.#core.flush();
    while (this.out.pieces > 0) {
      const piece = this.out.piece(0).slice();
      this.#frames.receive(piece, 0, piece.length);
      this.out.consume(piece.length);
    }
    return this.reader.answers.splice(0);
  }

  /** Sends what is queued and returns the only answer. */
  ask(): Answer {
    const answers = this.send().answers();
    if (answers.length !== 1) throw new Error(`${answers.length} answers where one was expected`);
    return answers[0]!;
  }
}

/** A client over a socket. */
export class SocketClient {
  readonly script: RequestScript;
  readonly socket: Socket;
  /** Resolves when the connection is closed, by whomever. */
  readonly ended: Promise<void>;
  readonly #frames: FrameReader;
  #told: () => void = () => {};

  constructor(socket: Socket, options: ClientOptions = {}) {
    this.socket = socket;
    this.script = new RequestScript(options);
    this.#frames = new FrameReader(this.script.reader);
    socket.on("data", (chunk) => {
      this.#frames.receive(chunk, 0, chunk.length);
      this.#told();
    });
    socket.on("error", () => {});
    this.ended = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  async enter(): Promise<void> {
    this.script.hello();
    this.send();
    let got = await this.answers((answers) => answers.length > 0);
    while (this.script.reader.handshake !== undefined && got.at(-1)?.type !== FrameType.ERROR) {
      this.send();
      got = await this.answers((answers) => answers.length > 0);
    }
    if (got.at(-1)?.type !== FrameType.WELCOME) throw new Error(`not welcome: ${got.at(-1)?.text}`);
  }

  send(): void {
    this.socket.write(this.script.script.take());
  }

  sendAndWait(count: number): Promise<Answer[]> {
    this.send();
    return this.answers((got) => got.length === count);
  }

  /** Waits until what has come is enough, and takes it. */
  async answers(enough: (got: Answer[]) => boolean): Promise<Answer[]> {
    const { answers } = this.script.reader;
    while (!enough(answers)) {
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
    return answers.splice(0);
  }
}

/** A server with few frames. */
export function newCore(options: Partial<MemoryServerOptions> = {}): MemoryServerCore {
  return new MemoryServerCore({
    identity: new Uint8Array(16).fill(200),
    name: "server",
    capacityFrames: 256,
    nonce: () => new Uint8Array(32).fill(3),
    hashSeed: 12345,
    ...options,
  });
}

/** Lets time pass for the server, in steps as small as those of a node. */
export function passTime(tick: (nowMs: number) => void, fromMs: number, toMs: number): void {
  for (let now = fromMs; now < toMs; now += limits.serverTickMsMax) tick(now);
  tick(toMs);
}
