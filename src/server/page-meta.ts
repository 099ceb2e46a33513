import { META_BYTES } from "../../proto/peer/index.ts";
import type { PageMeta } from "./frame-store.ts";

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
