import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Numbers of the NBD protocol that tests put on the wire, written down apart from the product's own. */
export const nbd = {
  initialMagic: 0x4e42444d41474943n,
  optionMagic: 0x49484156454f5054n,
  optionReplyMagic: 0x3e889045565a9n,
  requestMagic: 0x25609513,
  simpleReplyMagic: 0x67446698,
  clientFlags: { fixedNewstyle: 1, noZeroes: 2 },
  option: { exportName: 1, abort: 2, list: 3, info: 6, go: 7, structuredReply: 8, listMeta: 9, setMeta: 10 },
  reply: { ack: 1, server: 2, info: 3, meta: 4 },
  replyError: { unsupported: 0x80000001, policy: 0x80000002, invalid: 0x80000003, unknown: 0x80000006 },
  command: { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, cache: 5, writeZeroes: 6, blockStatus: 7 },
  flag: { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 },
  errno: { perm: 1, io: 5, noMemory: 12, invalid: 22, noSpace: 28, overflow: 75, notSupported: 95 },
} as const;

/** Where to connect. */
export type RawAddress = { path: string } | { host: string; port: number };

export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

const TIMEOUT_MS = 20_000;

/** The server ended the connection while more was expected. */
export class ConnectionEnded extends Error {}

/** A socket of which a test says exactly which bytes go out and come in. */
export class RawNbd {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #ended = false;
  #wake: () => void = () => {};
  #cookie = 0n;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    // A reset is one way to be disconnected.
    socket.on("error", end).on("end", end).on("close", end);
  }

  static async connect(address: RawAddress): Promise<RawNbd> {
    const socket = createConnection(address as { host: string; port: number });
    await once(socket, "connect");
    return new RawNbd(socket);
  }

  /** Connects and passes the greeting; the next bytes are options. */
  static async greeted(address: RawAddress, clientFlags = 3): Promise<RawNbd> {
    const client = await RawNbd.connect(address);
    await client.greet(clientFlags);
    return client;
  }

  /** Connects and chooses the empty export with GO; the next bytes are requests. */
  static async ready(address: RawAddress): Promise<RawNbd> {
    const client = await RawNbd.greeted(address);
    await client.go();
    return client;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  get bufferedBytes(): number {
    return this.#buffered;
  }

  write(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Writes and waits until the kernel has taken the bytes or the connection has ended. */
  async writeAll(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Exactly `length` bytes. Throws ConnectionEnded when the server hung up, Error when it kept silent. */
  async read(length: number): Promise<Buffer> {
    await this.#until(() => this.#buffered >= length || this.#ended, `${length} bytes`);
    if (this.#buffered < length)
      throw new ConnectionEnded(`${this.#buffered} of ${length} bytes, then the end`);
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : [];
    this.#buffered -= length;
    return all.subarray(0, length);
  }

  /** Waits for the server to hang up, dropping what it still says. */
  async untilEnd(): Promise<void> {
    await this.#until(() => this.#ended, "the end of the connection");
  }

  /** Waits until `holds`; throws after a time that is long even for a slow machine. */
  async #until(holds: () => boolean, what: string): Promise<void> {
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    while (!holds()) {
      if (deadline.aborted) throw new Error(`waited ${TIMEOUT_MS} ms for ${what}`);
      const timer = new AbortController();
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, sleep(250, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
    }
  }

  async greet(clientFlags: number): Promise<number> {
    const greeting = await this.read(18);
    if (greeting.readBigUInt64BE(0) !== nbd.initialMagic || greeting.readBigUInt64BE(8) !== nbd.optionMagic) {
      throw new Error(`not an NBD greeting: ${greeting.toString("hex")}`);
    }
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(clientFlags);
    this.write(flags);
    return greeting.readUInt16BE(16);
  }

  sendOption(option: number, data: Uint8Array = Buffer.alloc(0), claimedLength = data.length): void {
    const header = Buffer.alloc(16);
    header.writeBigUInt64BE(nbd.optionMagic, 0);
    header.writeUInt32BE(option, 8);
    header.writeUInt32BE(claimedLength, 12);
    this.write(header, data);
  }

  async readOptionReply(): Promise<OptionReply> {
    const header = await this.read(20);
    if (header.readBigUInt64BE(0) !== nbd.optionReplyMagic)
      throw new Error(`no option reply: ${header.toString("hex")}`);
    const data = await this.read(header.readUInt32BE(16));
    return { option: header.readUInt32BE(8), type: header.readUInt32BE(12), data: Buffer.from(data) };
  }

  /** Sends an option and reads replies up to its last one (an ACK or an error). */
  async option(option: number, data: Uint8Array = Buffer.alloc(0)): Promise<OptionReply[]> {
    this.sendOption(option, data);
    const replies: OptionReply[] = [];
    for (;;) {
      const reply = await this.readOptionReply();
      replies.push(reply);
      if (reply.type === nbd.reply.ack || reply.type >= 0x80000000) return replies;
    }
  }

  /** GO on an export; throws when refused. Gives the size of the export in bytes. */
  async go(name = ""): Promise<bigint> {
    const replies = await this.option(nbd.option.go, goData(name));
    const last = replies.at(-1)!;
    if (last.type !== nbd.reply.ack) throw new Error(`GO refused: 0x${last.type.toString(16)} ${last.data}`);
    const info = replies.find(({ type, data }) => type === nbd.reply.info && data.readUInt16BE(0) === 0);
    if (info === undefined) throw new Error("GO without NBD_INFO_EXPORT");
    return info.data.readBigUInt64BE(2);
  }

  /** Sends a request header and payload as they are; gives its cookie. */
  sendRequest(request: {
    command: number;
    flags?: number;
    offset?: bigint;
    length?: number;
    payload?: Uint8Array;
    magic?: number;
  }): bigint {
    const header = Buffer.alloc(28);
    header.writeUInt32BE(request.magic ?? nbd.requestMagic, 0);
    header.writeUInt16BE(request.flags ?? 0, 4);
    header.writeUInt16BE(request.command, 6);
    header.writeBigUInt64BE(++this.#cookie, 8);
    header.writeBigUInt64BE(request.offset ?? 0n, 16);
    header.writeUInt32BE(request.length ?? request.payload?.length ?? 0, 24);
    this.write(header, request.payload ?? Buffer.alloc(0));
    return this.#cookie;
  }

  /** Reads a simple reply for the given cookie, with `length` bytes of data when it is a success. */
  async readReply(cookie: bigint, length = 0): Promise<{ error: number; data: Buffer }> {
    const header = await this.read(16);
    if (header.readUInt32BE(0) !== nbd.simpleReplyMagic)
      throw new Error(`no simple reply: ${header.toString("hex")}`);
    if (header.readBigUInt64BE(8) !== cookie) {
      throw new Error(`reply for ${header.readBigUInt64BE(8)} where ${cookie} was due`);
    }
    const error = header.readUInt32BE(4);
    return { error, data: error === 0 ? await this.read(length) : Buffer.alloc(0) };
  }

  /** One request and its simple reply. */
  async request(request: Parameters<RawNbd["sendRequest"]>[0]): Promise<{ error: number; data: Buffer }> {
    const cookie = this.sendRequest(request);
    return this.readReply(cookie, request.command === nbd.command.read ? (request.length ?? 0) : 0);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Data of NBD_OPT_GO and NBD_OPT_INFO: a name and no information requests. */
export function goData(name: string, claimedNameLength = Buffer.byteLength(name)): Buffer {
  const bytes = Buffer.from(name);
  const data = Buffer.alloc(4 + bytes.length + 2);
  data.writeUInt32BE(claimedNameLength, 0);
  bytes.copy(data, 4);
  return data;
}
