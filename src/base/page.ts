/** Bytes of a slot, a page and a frame. */
export const PAGE_BYTES = 4096;
/** log2(PAGE_BYTES). */
export const PAGE_SHIFT = 12;
