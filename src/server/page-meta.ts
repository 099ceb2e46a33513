import { META_BYTES, PAGE_ID_BYTES, PeerError, WireError } from "../../proto/peer/index.ts";
import type { PageMeta } from "./frame-store.ts";

/** High words of numbers below 2^53. */
const HIGH_WORD_END = 2 ** 21;

export const newPageMeta = (): PageMeta => ({ idLow: 0, idHigh: 0, slotLow: 0, slotHigh: 0, checksum: 0 });

/** Reads the `i`-th meta entry of a frame's body. */
export function readMeta(body: DataView, i: number, into: PageMeta): void {
  const at = i * META_BYTES;
  into.idLow = body.getUint32(at, true);
  into.idHigh = body.getUint32(at + 4, true);
  into.slotLow = body.getUint32(at + 8, true);
  into.slotHigh = body.getUint32(at + 12, true);
  into.checksum = body.getUint32(at + 16, true);
}

/** Writes a meta entry at `at`. */
export function writeMeta(view: DataView, at: number, meta: PageMeta, status: number): void {
  view.setUint32(at, meta.idLow, true);
  view.setUint32(at + 4, meta.idHigh, true);
  view.setUint32(at + 8, meta.slotLow, true);
  view.setUint32(at + 12, meta.slotHigh, true);
  view.setUint32(at + 16, meta.checksum, true);
  view.setUint32(at + 20, status, true);
}

/** Checks ids and slots of all entries of a PUTPAGE, before any page is taken; throws PeerError. */
export function checkMetas(body: DataView, count: number, frameName: string): void {
  for (let i = 0; i < count; i += 1) {
    checkHighWord(body.getUint32(i * META_BYTES + 4, true), frameName, "page id");
    checkHighWord(body.getUint32(i * META_BYTES + 12, true), frameName, "slot");
  }
}

/** Checks the page ids of a GETPAGE or INVALIDATE; throws PeerError. */
export function checkPageIds(body: DataView, count: number, frameName: string): void {
  for (let i = 0; i < count; i += 1) {
    checkHighWord(body.getUint32(i * PAGE_ID_BYTES + 4, true), frameName, "page id");
  }
}

function checkHighWord(high: number, frameName: string, what: string): void {
  if (high >= HIGH_WORD_END) {
    throw new PeerError(WireError.PROTOCOL, `${frameName}: ${what} of 2^53 or more, accepted is less`);
  }
}
