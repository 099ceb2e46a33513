import { Packr } from "msgpackr";
import { ControlError } from "./control-error.ts";

const depthMax = 8;

const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false });

/** A value of plain objects, arrays, strings, numbers, booleans and null as msgpack. */
export function packPlain(value: unknown): Buffer {
  return packr.pack(value);
}

/**
 * Reads a foreign msgpack message. Only plain types pass (no extensions, which msgpackr would turn into records,
 * regular expressions, dates and the like), nested at most 8 deep, every claimed length covered by bytes that are
 * really there, and nothing behind the value.
 * @throws ControlError PROTOCOL
 */
export function unpackPlain(bytes: Uint8Array): unknown {
  if (skip(bytes, 0, 0) !== bytes.length) throw malformed("bytes behind the end of the message");
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw malformed("the message cannot be read", cause);
  }
}

function malformed(text: string, cause?: unknown): ControlError {
  return new ControlError("PROTOCOL", `malformed message: ${text}`, cause);
}

/** Where the value that begins at `at` ends. */
function skip(bytes: Uint8Array, at: number, depth: number): number {
  if (depth > depthMax) throw malformed("nested too deep");
  if (at >= bytes.length) throw malformed("cut short");
  const type = bytes[at];
  const next = at + 1;
  if (type <= 0x7f || type >= 0xe0) return next; // small integers
  if (type <= 0x8f) return skipMany(bytes, next, 2 * (type & 0x0f), depth); // fixmap
  if (type <= 0x9f) return skipMany(bytes, next, type & 0x0f, depth); // fixarray
  if (type <= 0xbf) return bounded(bytes, next + (type & 0x1f)); // fixstr
  switch (type) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return next;
    case 0xc4: // bin 8
    case 0xd9: // str 8
      return bounded(bytes, next + 1 + readUint(bytes, next, 1));
    case 0xc5:
    case 0xda:
      return bounded(bytes, next + 2 + readUint(bytes, next, 2));
    case 0xc6:
    case 0xdb:
      return bounded(bytes, next + 4 + readUint(bytes, next, 4));
    case 0xcc: // uint 8
    case 0xd0: // int 8
      return bounded(bytes, next + 1);
    case 0xcd:
    case 0xd1:
      return bounded(bytes, next + 2);
    case 0xca: // float 32
    case 0xce:
    case 0xd2:
      return bounded(bytes, next + 4);
    case 0xcb: // float 64
    case 0xcf: // uint 64
    case 0xd3:
      return bounded(bytes, next + 8);
    case 0xdc: // array 16
      return skipMany(bytes, next + 2, readUint(bytes, next, 2), depth);
    case 0xdd:
      return skipMany(bytes, next + 4, readUint(bytes, next, 4), depth);
    case 0xde: // map 16
      return skipMany(bytes, next + 2, 2 * readUint(bytes, next, 2), depth);
    case 0xdf:
      return skipMany(bytes, next + 4, 2 * readUint(bytes, next, 4), depth);
    default:
      throw malformed("a type that is not used here");
  }
}

function skipMany(bytes: Uint8Array, at: number, count: number, depth: number): number {
  if (count > bytes.length - at) throw malformed("a list longer than the message");
  let next = at;
  for (let i = 0; i < count; i++) next = skip(bytes, next, depth + 1);
  return next;
}

function bounded(bytes: Uint8Array, end: number): number {
  if (end > bytes.length) throw malformed("cut short");
  return end;
}

function readUint(bytes: Uint8Array, at: number, size: number): number {
  bounded(bytes, at + size);
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + bytes[at + i];
  return value;
}
