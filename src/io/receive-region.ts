import { limits } from "../base/limits.ts";

/**
 * Where sockets read into: [start, start + size) of `bytes`. One region serves all sockets of a process, since
 * what was read is consumed, or carried over, before the next socket reads.
 */
export interface ReceiveRegion {
  readonly bytes: Uint8Array;
  readonly start: number;
  /** The region itself, as Node wants it. */
  readonly window: Uint8Array;
}

/** A region within `bytes`. */
export function receiveRegionIn(bytes: Uint8Array, start: number): ReceiveRegion {
  return { bytes, start, window: bytes.subarray(start, start + limits.receiveBytesMax) };
}

/** A region with memory of its own. */
export function ownReceiveRegion(): ReceiveRegion {
  return receiveRegionIn(new Uint8Array(limits.receiveBytesMax), 0);
}
