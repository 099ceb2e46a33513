/** The most bytes that a session reserves at once: one page and a header. */
export const NBD_RESERVE_MAX = 4096 + 64;

/** Where a session puts bytes for the client. Implemented by the caller; `BlockOutput` is one ready-made. */
export interface NbdOutput {
  /**
   * Adds `length` contiguous bytes (1 to NBD_RESERVE_MAX) to the end of the stream and returns their offset in
   * `bytes` and `view`. They are written before any other method is called. `bytes` and `view` may be others
   * after each call.
   */
  reserve(length: number): number;
  /** The memory that the last reserved bytes lie in. */
  readonly bytes: Uint8Array;
  /** The same memory as `bytes`. */
  readonly view: DataView;
}

/** Appends `data`, in as many reserved pieces as it needs. */
export function appendBytes(output: NbdOutput, data: Uint8Array): void {
  for (let from = 0; from < data.length; from += NBD_RESERVE_MAX) {
    const to = Math.min(from + NBD_RESERVE_MAX, data.length);
    const at = output.reserve(to - from);
    const piece = from === 0 && to === data.length ? data : data.subarray(from, to);
    output.bytes.set(piece, at);
  }
}

/** Appends `length` zeroes. */
export function appendZeroes(output: NbdOutput, length: number): void {
  for (let left = length; left > 0; ) {
    const count = Math.min(left, NBD_RESERVE_MAX);
    const at = output.reserve(count);
    output.bytes.fill(0, at, at + count);
    left -= count;
  }
}
