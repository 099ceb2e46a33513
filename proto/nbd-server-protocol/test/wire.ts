/** Bytes of the client, built by hand for tests: independent of the package's own constants. */

export type Piece = number[] | Uint8Array | string;

export const u16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
export const u32 = (value: number): number[] => [
  (value >>> 24) & 0xff,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
];
export const u64 = (value: number | bigint): number[] => {
  const big = BigInt(value);
  return [...u32(Number(big >> 32n)), ...u32(Number(big & 0xffffffffn))];
};

/** Joins pieces; a string stands for its hexadecimal digits (blanks are ignored) or, with a leading ', its text. */
export function join(...pieces: Piece[]): Uint8Array {
  const all: number[] = [];
  for (const piece of pieces) {
    if (typeof piece !== "string") for (const byte of piece) all.push(byte);
    else if (piece.startsWith("'")) all.push(...new TextEncoder().encode(piece.slice(1)));
    else all.push(...Buffer.from(piece.replaceAll(/\s/g, ""), "hex"));
  }
  return Uint8Array.from(all);
}

/** Length in 4 bytes, then the text. */
export const text32 = (text: string): number[] => {
  const bytes = new TextEncoder().encode(text);
  return [...u32(bytes.length), ...bytes];
};

/** 3: fixed newstyle and no zeroes. */
export const clientFlags = (flags = 3): number[] => u32(flags);

export function option(number: number, ...data: Piece[]): Uint8Array {
  const bytes = join(...data);
  return join("'IHAVEOPT", u32(number), u32(bytes.length), bytes);
}

/** Data of INFO and GO. */
export const infoData = (name: string, ...asked: number[]): Uint8Array =>
  join(text32(name), u16(asked.length), ...asked.map(u16));

/** Data of the two META_CONTEXT options. */
export const metaData = (name: string, ...queries: string[]): Uint8Array =>
  join(text32(name), u32(queries.length), ...queries.map(text32));

export const go = (name = "", ...asked: number[]): Uint8Array => option(7, infoData(name, ...asked));
export const structured = (): Uint8Array => option(8);
export const setMeta = (name = "", ...queries: string[]): Uint8Array =>
  option(10, metaData(name, ...queries));

export interface RequestFields {
  command: number;
  flags?: number;
  cookie?: number | bigint;
  offset?: number | bigint;
  length?: number;
}

/** A request's header. */
export function header({
  command,
  flags = 0,
  cookie = 1,
  offset = 0,
  length = 0,
}: RequestFields): Uint8Array {
  return join("25609513", u16(flags), u16(command), u64(cookie), u64(offset), u32(length));
}

/** Reply to an option. */
export function optionReply(number: number, kind: number, ...data: Piece[]): Uint8Array {
  const bytes = join(...data);
  return join("0003e889045565a9", u32(number), u32(kind), u32(bytes.length), bytes);
}

/** Simple reply. */
export const simple = (error: number, cookie: number | bigint, ...data: Piece[]): Uint8Array =>
  join("67446698", u32(error), u64(cookie), ...data);

/** Structured chunk with DONE. */
export function chunk(type: number, cookie: number | bigint, ...payload: Piece[]): Uint8Array {
  const bytes = join(...payload);
  return join("668e33ef", u16(1), u16(type), u64(cookie), u32(bytes.length), bytes);
}

/** Error chunk. */
export const errorChunk = (error: number, cookie: number | bigint, message: string): Uint8Array => {
  const bytes = new TextEncoder().encode(message);
  return chunk(0x8001, cookie, u32(error), u16(bytes.length), bytes);
};

export const GREETING = join("'NBDMAGICIHAVEOPT", u16(3));
