/** The NBD protocol as a client speaks it, written from the protocol's document and not from the server's code. */

export const Command = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
};
export const NO_HOLE = 2;
const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
const u32 = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];

const option = (number: number, data: number[]): number[] => [
  ...ascii("IHAVEOPT"),
  ...u32(number),
  ...u32(data.length),
  ...data,
];

/** Client flags (newstyle, no zeroes) and the options up to transmission. */
export function encodeNegotiation(structured: boolean, exportName: boolean): Uint8Array {
  const context = ascii("base:allocation");
  const bytes = u32(3);
  if (structured) {
    bytes.push(...option(8, []));
    bytes.push(...option(10, [...u32(0), ...u32(1), ...u32(context.length), ...context]));
  }
  bytes.push(...(exportName ? option(1, []) : option(7, [...u32(0), 0, 0])));
  return Uint8Array.from(bytes);
}

/** A request's header. */
export function encodeRequest(
  command: number,
  flags: number,
  cookie: number,
  offset: number,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x25609513);
  view.setUint16(4, flags);
  view.setUint16(6, command);
  view.setUint32(12, cookie);
  view.setUint32(16, Math.floor(offset / 2 ** 32));
  view.setUint32(20, offset >>> 0);
  view.setUint32(24, length);
  return bytes;
}

/** One answer. `data` is valid until the next bytes are fed. */
export interface NbdAnswer {
  cookie: number;
  error: number;
  /** READ: the bytes. BLOCK_STATUS: pairs of length and flags. */
  data: Uint8Array;
}

export interface NbdReaderPort {
  /** Negotiation is over. */
  ready(): void;
  /** Bytes of data that follow a successful simple reply. */
  readLength(cookie: number): number;
  answer(answer: NbdAnswer): void;
  /** The server broke the protocol. */
  fault(what: string): void;
}

enum Stage {
  Greeting = 0,
  Options = 1,
  ExportName = 2,
  Answers = 3,
}

const NO_DATA = new Uint8Array(0);

/** Cuts what an NBD server sends into answers. */
export class NbdReader {
  readonly #port: NbdReaderPort;
  readonly #exportName: boolean;
  #optionsLeft: number;
  #stage = Stage.Greeting;
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #from = 0;
  #to = 0;

  constructor(port: NbdReaderPort, structured: boolean, exportName: boolean) {
    this.#port = port;
    this.#exportName = exportName;
    this.#optionsLeft = (structured ? 2 : 0) + (exportName ? 0 : 1);
  }

  feed(bytes: Uint8Array): void {
    this.#append(bytes);
    while (this.#step());
  }

  #append(bytes: Uint8Array): void {
    if (this.#to + bytes.length > this.#bytes.length) {
      const kept = this.#bytes.subarray(this.#from, this.#to);
      const bigger = new Uint8Array(Math.max(this.#bytes.length, 2 * (kept.length + bytes.length)));
      bigger.set(kept);
      this.#to = kept.length;
      this.#from = 0;
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer);
    }
    this.#bytes.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  get #have(): number {
    return this.#to - this.#from;
  }

  #u32(at: number): number {
    return this.#view.getUint32(this.#from + at);
  }

  #step(): boolean {
    switch (this.#stage) {
      case Stage.Greeting:
        return this.#greeting();
      case Stage.Options:
        return this.#optionReply();
      case Stage.ExportName:
        if (this.#have < 10) return false;
        this.#from += 10;
        return this.#begin();
      default:
        return this.#answer();
    }
  }

  #greeting(): boolean {
    if (this.#have < 18) return false;
    if (this.#u32(0) !== 0x4e42444d || this.#u32(8) !== 0x49484156)
      this.#port.fault("greeting without its magic");
    this.#from += 18;
    this.#stage = this.#optionsLeft > 0 ? Stage.Options : Stage.ExportName;
    return true;
  }

  #optionReply(): boolean {
    if (this.#have < 20 || this.#have < 20 + this.#u32(16)) return false;
    const kind = this.#u32(12);
    if (this.#u32(0) !== 0x0003e889) this.#port.fault("reply to an option without its magic");
    if (kind >= 0x80000000) this.#port.fault(`option ${this.#u32(8)} was refused`);
    this.#from += 20 + this.#u32(16);
    if (kind !== 1) return true;
    this.#optionsLeft -= 1;
    if (this.#optionsLeft > 0) return true;
    if (!this.#exportName) return this.#begin();
    this.#stage = Stage.ExportName;
    return true;
  }

  #begin(): boolean {
    this.#stage = Stage.Answers;
    this.#port.ready();
    return true;
  }

  #answer(): boolean {
    if (this.#have < 16) return false;
    const magic = this.#u32(0);
    if (magic === 0x67446698) return this.#simple();
    if (magic === 0x668e33ef) return this.#chunk();
    this.#port.fault(`answer with magic ${magic.toString(16)}`);
    return false;
  }

  #simple(): boolean {
    const error = this.#u32(4);
    const cookie = this.#u32(12);
    const length = error === 0 ? this.#port.readLength(cookie) : 0;
    if (this.#have < 16 + length) return false;
    this.#give(cookie, error, 16, length);
    this.#from += 16 + length;
    return true;
  }

  #chunk(): boolean {
    if (this.#have < 20 || this.#have < 20 + this.#u32(16)) return false;
    const type = this.#view.getUint16(this.#from + 6);
    const cookie = this.#u32(12);
    const length = this.#u32(16);
    if (type === 0) this.#give(cookie, 0, 20, 0);
    else if (type === 1) this.#give(cookie, 0, 28, length - 8);
    else if (type === 5) this.#give(cookie, 0, 24, length - 4);
    else if (type === 0x8001) this.#give(cookie, this.#u32(20), 20, 0);
    else this.#port.fault(`chunk of type ${type}`);
    this.#from += 20 + length;
    return true;
  }

  #give(cookie: number, error: number, at: number, length: number): void {
    const from = this.#from + at;
    const data = length === 0 ? NO_DATA : this.#bytes.subarray(from, from + length);
    this.#port.answer({ cookie, error, data });
  }
}
