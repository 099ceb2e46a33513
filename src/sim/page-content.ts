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

const words = new Uint32Array(PAGE_BYTES / 4);
const page = Buffer.from(words.buffer);

/** Fills `page` from byte `from` on, up to the end of the word with the last byte before `to`. */
function makeWords(kind: ContentKind, number: number, slot: number, from: number, to: number): void {
  const end = (to + 3) >> 2;
  if (kind === "zero") {
    words.fill(0, from >> 2, end);
    return;
  }
  const base = Math.imul(number, NUMBER_FACTOR);
  if (kind === "fill") for (let i = from >> 2; i < end; i += 1) words[i] = base ^ (i & 1);
  else {
    const ofSlot = base ^ Math.imul(slot + 1, SLOT_FACTOR);
    for (let i = from >> 2; i < end; i += 1) words[i] = ofSlot ^ Math.imul(i + 1, PLACE_FACTOR);
  }
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
  makeWords(kind, number, slot, from, to);
  into.set(page.subarray(from, to), at);
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
  makeWords(kind, number, slot, from, Math.min(to, from + 4));
  if (page[from] !== bytes[at]) return false;
  makeWords(kind, number, slot, from, to);
  return page.compare(bytes, at, at + to - from, from, to) === 0;
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
