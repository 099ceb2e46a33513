import {
  ACK_ENTRY_BYTES,
  CAPACITY_BYTES,
  ERROR_TEXT_BYTES_MAX,
  FrameType,
  HEADER_BYTES,
  META_BYTES,
  PAGE_BYTES,
  PAGE_ID_BYTES,
  type WireError,
} from "./wire.ts";

/** Where frames are written: see base/byte-sink.ts, which has the same shape. */
export interface FrameSink {
  reserve(length: number): number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** For one that counts: a frame of this type begins. */
  frameBegun?(type: number): void;
}

/** What a memory server has to lend, in frames. */
export interface Capacity {
  free: number;
  limit: number;
  used: number;
}

const WORD = 2 ** 32;

/** Low and high halves of a page id or slot number (a whole number below 2^53). */
export const lowWord = (value: number): number => value >>> 0;
export const highWord = (value: number): number => Math.floor(value / WORD);
/** The number at `at`, 64 bits wide, of which 53 may be used. */
export const getWide = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * WORD + view.getUint32(at, true);

/** Writes a number below 2^53 as 64 bits. */
export function putWide(view: DataView, at: number, value: number): void {
  view.setUint32(at, lowWord(value), true);
  view.setUint32(at + 4, highWord(value), true);
}

/** Reserves a header and `bodyHere` bytes of the `bodyBytes` long body; returns the offset of the body. */
export function beginFrame(
  sink: FrameSink,
  type: number,
  count: number,
  bodyBytes: number,
  bodyHere: number,
  seq = 0,
  aux = 0,
): number {
  const at = sink.reserve(HEADER_BYTES + bodyHere);
  sink.frameBegun?.(type);
  const view = sink.view;
  view.setUint8(at, type);
  view.setUint8(at + 1, 0);
  view.setUint16(at + 2, count, true);
  view.setUint32(at + 4, bodyBytes, true);
  view.setUint32(at + 8, seq, true);
  view.setUint32(at + 12, aux, true);
  return at + HEADER_BYTES;
}

/** Begins a PUTPAGE of `count` pages: the caller writes the metas at the returned offset, then appends the pages. */
export function beginPutPage(sink: FrameSink, count: number, seq: number): number {
  return beginFrame(
    sink,
    FrameType.PUTPAGE,
    count,
    count * (META_BYTES + PAGE_BYTES),
    count * META_BYTES,
    seq,
  );
}

/** Begins the answer to a GETPAGE: `found` of `count` pages follow the meta entries. */
export function beginPages(sink: FrameSink, count: number, found: number, seq: number): number {
  return beginFrame(
    sink,
    FrameType.PAGES,
    count,
    count * META_BYTES + found * PAGE_BYTES,
    count * META_BYTES,
    seq,
  );
}

/** Begins a GETPAGE: the caller writes `count` page ids (putWide) at the returned offset. */
export function beginGetPage(sink: FrameSink, count: number, seq: number): number {
  return beginFrame(sink, FrameType.GETPAGE, count, count * PAGE_ID_BYTES, count * PAGE_ID_BYTES, seq);
}

/** Begins an INVALIDATE of `count` page ids. */
export function beginInvalidate(sink: FrameSink, count: number): number {
  return beginFrame(sink, FrameType.INVALIDATE, count, count * PAGE_ID_BYTES, count * PAGE_ID_BYTES);
}

/** Begins an ACK of `count` entries: the caller writes them (putAckEntry) at the returned offset. */
export function beginAck(sink: FrameSink, count: number, capacity: Capacity): number {
  const bytes = CAPACITY_BYTES + count * ACK_ENTRY_BYTES;
  const at = beginFrame(sink, FrameType.ACK, count, bytes, bytes);
  putCapacity(sink.view, at, capacity);
  return at + CAPACITY_BYTES;
}

/** Writes one ACK entry. */
export function putAckEntry(view: DataView, at: number, seq: number, accepted: number, status: number): void {
  view.setUint32(at, seq, true);
  view.setUint16(at + 4, accepted, true);
  view.setUint16(at + 6, status, true);
}

/** Begins a LISTING; `cursor` is where the next LIST goes on, LIST_END if there is no more. */
export function beginListing(sink: FrameSink, count: number, cursor: number): number {
  return beginFrame(sink, FrameType.LISTING, count, count * META_BYTES, count * META_BYTES, 0, cursor);
}

/** Asks for what the server holds for this client, from `cursor` on: 0 at first, then that of the last LISTING. */
export function putList(sink: FrameSink, cursor: number): void {
  beginFrame(sink, FrameType.LIST, 0, 0, 0, 0, cursor);
}

/** Writes a meta entry. */
export function putMeta(
  view: DataView,
  at: number,
  pageId: number,
  slot: number,
  checksum: number,
  status: number,
): void {
  putWide(view, at, pageId);
  putWide(view, at + 8, slot);
  view.setUint32(at + 16, checksum, true);
  view.setUint32(at + 20, status, true);
}

/** Writes the 16 bytes of capacity figures. */
export function putCapacity(view: DataView, at: number, capacity: Capacity): void {
  view.setUint32(at, capacity.free, true);
  view.setUint32(at + 4, capacity.limit, true);
  view.setUint32(at + 8, capacity.used, true);
  view.setUint32(at + 12, 0, true);
}

/** Reads the 16 bytes of capacity figures into `into`. */
export function getCapacity(view: DataView, at: number, into: Capacity): void {
  into.free = view.getUint32(at, true);
  into.limit = view.getUint32(at + 4, true);
  into.used = view.getUint32(at + 8, true);
}

/** A frame without a body. */
export function putBare(sink: FrameSink, type: number, seq = 0): void {
  beginFrame(sink, type, 0, 0, 0, seq);
}

/** WELCOME or PONG. */
export function putCapacityFrame(sink: FrameSink, type: number, capacity: Capacity, seq = 0): void {
  const at = beginFrame(sink, type, 0, CAPACITY_BYTES, CAPACITY_BYTES, seq);
  putCapacity(sink.view, at, capacity);
}

/** ERROR with its code in aux and a text, cut between characters to what a frame may carry. */
export function putError(sink: FrameSink, code: WireError, text: string): void {
  const encoded = new Uint8Array(ERROR_TEXT_BYTES_MAX);
  const bytes = new TextEncoder().encodeInto(text, encoded).written;
  const at = beginFrame(sink, FrameType.ERROR, 0, bytes, bytes, 0, code);
  sink.bytes.set(encoded.subarray(0, bytes), at);
}
