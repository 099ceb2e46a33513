/** Two bytes at `at`, as an unsigned number. */
export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** Four bytes at `at`, as an unsigned number. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/**
 * Eight bytes at `at`, as a number. Beyond 2^53 the value is rounded, but never below 2^53: it still compares
 * as larger than any export.
 */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) * 0x100000000 + readU32(bytes, at + 4);
}

/** Writes an integer below 2^53 as eight bytes. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x100000000));
  view.setUint32(at + 4, value >>> 0);
}
