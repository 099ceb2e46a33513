import type { Socket } from "node:net";
import { nbd, type RawAddress, RawNbd } from "./raw-nbd.ts";

const REPLY_BYTES = 16;

interface Waiting {
  readonly readBytes: number;
  readonly resolve: (reply: NbdReply) => void;
  readonly reject: (error: Error) => void;
}

/** What came for a request; `data` of a READ without an error. */
export interface NbdReply {
  readonly error: number;
  readonly data: Buffer;
}

export interface NbdRequest {
  readonly command: number;
  readonly offset: number;
  readonly length: number;
  readonly payload?: Buffer;
}

/** An NBD client with many requests in flight and simple replies. */
export class NbdPipe {
  readonly #socket: Socket;
  readonly #waiting = new Map<bigint, Waiting>();
  #unparsed: Buffer = Buffer.alloc(0);
  #cookie = 0n;
  #over: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("close", () => this.#end(new Error("the NBD server hung up")));
  }

  static async connect(address: RawAddress): Promise<NbdPipe> {
    const { socket } = await RawNbd.ready(address);
    socket.removeAllListeners("data");
    return new NbdPipe(socket);
  }

  /** Rejects when the connection ends before the reply. */
  request({ command, offset, length, payload }: NbdRequest): Promise<NbdReply> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const cookie = ++this.#cookie;
    const header = Buffer.alloc(28);
    header.writeUInt32BE(nbd.requestMagic, 0);
    header.writeUInt16BE(command, 6);
    header.writeBigUInt64BE(cookie, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(length, 24);
    this.#socket.write(payload === undefined ? header : Buffer.concat([header, payload]));
    return new Promise((resolve, reject) => {
      const readBytes = command === nbd.command.read ? length : 0;
      this.#waiting.set(cookie, { readBytes, resolve, reject });
    });
  }

  close(): void {
    this.#end(new Error("closed"));
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#unparsed = this.#unparsed.length === 0 ? chunk : Buffer.concat([this.#unparsed, chunk]);
    let at = 0;
    for (let taken = -1; taken !== 0; at += taken) taken = this.#parseAt(at);
    this.#unparsed = this.#unparsed.subarray(at);
  }

  /** Takes the reply that begins at `at`; returns its bytes, 0 if it has not come whole. */
  #parseAt(at: number): number {
    const bytes = this.#unparsed;
    if (bytes.length < at + REPLY_BYTES || this.#over !== undefined) return 0;
    const cookie = bytes.readBigUInt64BE(at + 8);
    const waiting = this.#waiting.get(cookie);
    if (bytes.readUInt32BE(at) !== nbd.simpleReplyMagic || waiting === undefined) {
      this.#end(new Error(`no reply to anything: ${bytes.toString("hex", at, at + REPLY_BYTES)}`));
      return 0;
    }
    const error = bytes.readUInt32BE(at + 4);
    const end = at + REPLY_BYTES + (error === 0 ? waiting.readBytes : 0);
    if (bytes.length < end) return 0;
    this.#waiting.delete(cookie);
    waiting.resolve({ error, data: Buffer.from(bytes.subarray(at + REPLY_BYTES, end)) });
    return end - at;
  }

  #end(error: Error): void {
    this.#over ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#over);
    this.#waiting.clear();
  }
}
