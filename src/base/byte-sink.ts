/** Where a codec puts bytes to be sent. */
export interface ByteSink {
  /**
   * Reserves contiguous bytes at the end of the stream; returns their offset in `bytes` and `view`, which may change
   * with each call.
   */
  reserve(length: number): number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}
