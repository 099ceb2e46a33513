import { PAGE_BYTES } from "../base/page.ts";

/** What a write puts on the device. Every byte follows from the kind, the write's number, the slot and the place. */
export type ContentKind = "data" | "fill" | "zero";

const NUMBER_FACTOR = 0x9e3779b1;
/** Its inverse modulo 2^32. */
const NUMBER_INVERSE = inverse(NUMBER_FACTOR);
const SLOT_FACTOR = 0x85ebca6b;
const PLACE_FACTOR = 0xc2b2ae35;

function inverse(odd: number): number {
  let x = odd;
  for (let i = 0; i < 5; i += 1) x = Math.imul(x, 2 - Math.imul(odd, x));
  return x;
}

/** The 32-bit word at `place` (0 to 1023) of a page. */
function wordOf(kind: ContentKind, number: number, slot: number, place: number): number {
  if (kind === "zero") return 0;
  if (kind === "fill") return Math.imul(number, NUMBER_FACTOR) ^ (place & 1);
  return (
    Math.imul(number, NUMBER_FACTOR) ^ Math.imul(slot + 1, SLOT_FACTOR) ^ Math.imul(place + 1, PLACE_FACTOR)
  );
}

/** Writes bytes [from, to) of the page to `at` of `into`. */
export function putContent(
  kind: ContentKind,
  number: number,
  slot: number,
  from: number,
  to: number,
  into: Uint8Array,
  at: number,
): void {
  let word = 0;
  for (let i = from; i < to; i += 1) {
    if (i === from || (i & 3) === 0) word = wordOf(kind, number, slot, i >> 2);
    into[at + i - from] = word >>> (8 * (i & 3));
  }
}

/** True if `length` = to - from bytes at `at` are bytes [from, to) of the page. */
export function isContent(
  kind: ContentKind,
  number: number,
  slot: number,
  from: number,
  to: number,
  bytes: Uint8Array,
  at: number,
): boolean {
  let word = 0;
  for (let i = from; i < to; i += 1) {
    if (i === from || (i & 3) === 0) word = wordOf(kind, number, slot, i >> 2);
    if (bytes[at + i - from] !== ((word >>> (8 * (i & 3))) & 0xff)) return false;
  }
  return true;
}

/** What bytes [from, to) of a slot's page look like, for messages. */
export function describeContent(
  slot: number,
  from: number,
  bytes: Uint8Array,
  at: number,
  length: number,
): string {
  if (bytes.subarray(at, at + length).every((byte) => byte === 0)) return "zeros";
  const aligned = Math.min((4 - (from & 3)) & 3, length);
  if (length - aligned < 4) return `bytes ${Buffer.from(bytes.subarray(at, at + length)).toString("hex")}`;
  const offset = at + aligned;
  const place = (from + aligned) >> 2;
  const word =
    bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24);
  const asData = Math.imul(
    word ^ Math.imul(slot + 1, SLOT_FACTOR) ^ Math.imul(place + 1, PLACE_FACTOR),
    NUMBER_INVERSE,
  );
  const asFill = Math.imul(word ^ (place & 1), NUMBER_INVERSE);
  const until = from + Math.min(length, PAGE_BYTES);
  if (isContent("data", asData, slot, from, until, bytes, at)) return `write ${asData} of this slot`;
  if (isContent("fill", asFill, slot, from, until, bytes, at)) return `write ${asFill} (same-filled)`;
  return `neither one write of this slot nor zeros (begins as write ${asData} or fill ${asFill} would)`;
}
