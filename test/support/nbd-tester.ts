import { limits } from "../../src/base/limits.ts";
import { OutQueue } from "../../src/base/out-queue.ts";
import type { NbdConnection } from "../../src/client/nbd-connection.ts";
import type { TestClient } from "./cores.ts";
import { goData, nbd } from "./raw-nbd.ts";

/** What came for one request; `extents` are pairs of length and flags. */
export interface NbdAnswer {
  error: number;
  data: Buffer | undefined;
  extents: [bytes: number, flags: number][];
}

export interface NbdAsk {
  command: number;
  offset?: number;
  length?: number;
  payload?: Uint8Array;
  flags?: number;
}

const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, error: 0x8001 } as const;
const CHUNK_MAGIC = 0x668e33ef;

/** An NBD client that speaks structured replies with the front of a TestClient, in memory; reads what it is told. */
export class NbdTester {
  readonly connection: NbdConnection;
  readonly out: OutQueue;
  /** Why the connection is over, as its socket was told. */
  over: Error | "finished" | undefined;
  /** False: answers are left where they are. */
  reads = true;
  readonly #client: TestClient;
  readonly #answers = new Map<bigint, NbdAnswer>();
  readonly #done = new Set<bigint>();
  #unsent: Buffer = Buffer.alloc(0);
  #unparsed: Buffer = Buffer.alloc(0);
  #cookie = 0n;

  constructor(client: TestClient) {
    this.#client = client;
    this.out = new OutQueue(client.nbdPool);
    const port = {
      resume: () => {},
      finish: () => {
        this.over ??= "finished";
      },
      destroy: (error: Error) => {
        this.over ??= error;
        this.disconnect();
      },
    };
    this.connection = client.front.connect(this.out, port, client.nowMs);
    this.#negotiate();
  }

  #negotiate(): void {
    const flags = Buffer.from([0, 0, 0, 3]);
    const context = "base:allocation";
    const query = Buffer.alloc(12 + context.length);
    query.writeUInt32BE(1, 4);
    query.writeUInt32BE(context.length, 8);
    query.write(context, 12);
    // Each answer is taken before more is said: who leaves answers may not be heard for a while.
    const structured = option(nbd.option.structuredReply);
    for (const part of [
      flags,
      structured,
      option(nbd.option.setMeta, query),
      option(nbd.option.go, goData("")),
    ]) {
      this.#drop();
      this.send(part);
    }
    if (this.connection.session.state !== "transmission") throw new Error("the export was refused");
    this.#drop();
  }

  #drop(): void {
    this.out.consume(this.out.queuedBytes);
    this.connection.drained();
  }

  /** Bytes that the session has left unread. */
  get unsentBytes(): number {
    return this.#unsent.length;
  }

  /** Sends bytes as they are, as far as the session takes them; `exchange` offers it the rest. */
  send(...parts: Uint8Array[]): void {
    this.#unsent = Buffer.concat([this.#unsent, ...parts]);
    const { arena, region } = this.#client;
    while (this.#unsent.length > 0 && this.over === undefined) {
      const piece = this.#unsent.subarray(0, limits.receiveBytesMax);
      arena.bytes.set(piece, region);
      const taken = this.connection.receive(arena.bytes, region, region + piece.length);
      this.#unsent = this.#unsent.subarray(taken);
      if (taken < piece.length) return;
    }
  }

  /** Sends a request; returns its cookie. */
  ask(one: NbdAsk): bigint {
    this.#cookie += 1n;
    const header = Buffer.alloc(28);
    header.writeUInt32BE(nbd.requestMagic, 0);
    header.writeUInt16BE(one.flags ?? 0, 4);
    header.writeUInt16BE(one.command, 6);
    header.writeBigUInt64BE(this.#cookie, 8);
    header.writeBigUInt64BE(BigInt(one.offset ?? 0), 16);
    header.writeUInt32BE(one.payload?.length ?? one.length ?? 0, 24);
    this.send(header, one.payload ?? Buffer.alloc(0));
    return this.#cookie;
  }

  /** The answer of a request, if it has come whole. */
  answer(cookie: bigint): NbdAnswer | undefined {
    return this.#done.has(cookie) ? this.#answers.get(cookie) : undefined;
  }

  /** Its cookie may be used again. */
  forget(cookie: bigint): void {
    this.#done.delete(cookie);
    this.#answers.delete(cookie);
  }

  get answered(): number {
    return this.#done.size;
  }

  /** Lets everything move, the servers included, until nothing does. */
  exchange(): void {
    for (let last = -1; last !== this.#unsent.length + this.#done.size * 1e9; ) {
      last = this.#unsent.length + this.#done.size * 1e9;
      this.#client.pump();
      this.send();
      if (this.reads) this.readAnswers();
    }
  }

  /** A request and its answer, which must come without further ado. */
  call(one: NbdAsk): NbdAnswer {
    const cookie = this.ask(one);
    this.exchange();
    const answer = this.answer(cookie);
    if (answer === undefined) throw new Error(`request ${JSON.stringify(one.command)} is not answered`);
    return answer;
  }

  write(offset: number, payload: Uint8Array): number {
    return this.call({ command: nbd.command.write, offset, payload }).error;
  }

  /** The bytes, or the error number. */
  read(offset: number, length: number): Buffer | number {
    const { error, data } = this.call({ command: nbd.command.read, offset, length });
    return error === 0 ? data! : error;
  }

  /** Takes the answers that wait. */
  readAnswers(): void {
    if (this.out.queuedBytes === 0) return;
    const pieces = [...Array(this.out.pieces).keys()].map((i) => Buffer.from(this.out.piece(i)));
    this.#unparsed = Buffer.concat([this.#unparsed, ...pieces]);
    this.#drop();
    while (this.#parseOne()) {}
  }

  #parseOne(): boolean {
    const from = this.#unparsed;
    if (from.length < 16) return false;
    const magic = from.readUInt32BE(0);
    if (magic === nbd.simpleReplyMagic) {
      this.#finish(from.readBigUInt64BE(8), from.readUInt32BE(4));
      this.#unparsed = from.subarray(16);
      return true;
    }
    if (magic !== CHUNK_MAGIC) throw new Error(`no reply: ${from.subarray(0, 20).toString("hex")}`);
    if (from.length < 20 || from.length < 20 + from.readUInt32BE(16)) return false;
    const end = 20 + from.readUInt32BE(16);
    this.#chunk(from.readUInt16BE(6), from.readBigUInt64BE(8), from.subarray(20, end));
    if ((from.readUInt16BE(4) & 1) !== 0) this.#finish(from.readBigUInt64BE(8), 0);
    this.#unparsed = from.subarray(end);
    return true;
  }

  #chunk(type: number, cookie: bigint, body: Buffer): void {
    const answer = this.#of(cookie);
    if (type === CHUNK.data) answer.data = Buffer.from(body.subarray(8));
    else if (type === CHUNK.error) answer.error = body.readUInt32BE(0);
    else if (type === CHUNK.blockStatus) {
      for (let at = 4; at < body.length; at += 8) {
        answer.extents.push([body.readUInt32BE(at), body.readUInt32BE(at + 4)]);
      }
    } else if (type !== CHUNK.none) throw new Error(`a chunk of type ${type}`);
  }

  #of(cookie: bigint): NbdAnswer {
    const answer = this.#answers.get(cookie) ?? { error: 0, data: undefined, extents: [] };
    this.#answers.set(cookie, answer);
    return answer;
  }

  #finish(cookie: bigint, error: number): void {
    if (this.#done.has(cookie)) throw new Error(`request ${cookie} is answered twice`);
    const answer = this.#of(cookie);
    if (error !== 0) answer.error = error;
    this.#done.add(cookie);
  }

  /** The connection breaks. */
  disconnect(): void {
    this.out.clear();
    this.connection.disconnected();
  }
}

function option(number: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(nbd.optionMagic, 0);
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

/** For `expect.addEqualityTesters`: buffers compared in one go, where the usual way looks at each byte. */
export function equalBuffers(a: unknown, b: unknown): boolean | undefined {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : undefined;
}
