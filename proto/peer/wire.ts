/** The wire numbers of the page protocol; peer.md is normative. All integers are little-endian. */
export const PROTOCOL_VERSION = 1;

/** First eight bytes of a HELLO's body. */
export const HELLO_MAGIC = "nswapage";

export const HEADER_BYTES = 16;
export const PAGE_BYTES = 4096;
/** First number that a page id or a slot cannot have: they are 64 bits wide and whole in a double. */
export const WIDE_END = 2 ** 53;
/** Meta entry of a page: id, slot, checksum, status. */
export const META_BYTES = 24;
export const PAGE_ID_BYTES = 8;
/** Pages that one frame may carry, ask for or list. */
export const PAGES_PER_FRAME_MAX = 64;
/** Page ids in one INVALIDATE. */
export const INVALIDATE_PAGES_MAX = 128;
/** Capacity figures in front of ACK entries and in PONG and WELCOME. */
export const CAPACITY_BYTES = 16;
export const ACK_ENTRY_BYTES = 8;
export const ACK_ENTRIES_MAX = 128;
export const HELLO_BYTES = 152;
export const NAME_BYTES_MAX = 63;
export const IDENTITY_BYTES = 16;
export const NONCE_BYTES = 32;
export const PROOF_BYTES = 32;
export const ERROR_TEXT_BYTES_MAX = 512;
/** Longest body before any page data: what a reader must be able to hold of a frame. */
export const FIXED_BODY_BYTES_MAX = PAGES_PER_FRAME_MAX * META_BYTES;
/** Cursor of a LISTING that is the last one. */
export const LIST_END = 0xffff_ffff;

export const FrameType = {
  HELLO: 0x01,
  PROOF: 0x02,
  WELCOME: 0x03,
  ERROR: 0x04,
  GOODBYE: 0x05,
  PUTPAGE: 0x10,
  ACK: 0x11,
  GETPAGE: 0x12,
  PAGES: 0x13,
  INVALIDATE: 0x14,
  LIST: 0x15,
  LISTING: 0x16,
  PING: 0x17,
  PONG: 0x18,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Status of a page in PAGES. */
export const PageStatus = {
  /** The page's bytes follow. */
  OK: 0,
  /** The server does not hold the page. */
  MISSING: 1,
} as const;

/** Status of a PUTPAGE in ACK. */
export const AckStatus = {
  /** All pages are held. */
  OK: 0,
  /** Only the first `accepted` pages are held; there is no room for the rest. */
  FULL: 1,
} as const;

export const Role = { CLIENT: 1, SERVER: 2, PARITY: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** Codes of ERROR; the sender closes after it. */
export const WireError = {
  PROTOCOL: 1,
  VERSION: 2,
  KEY_REQUIRED: 3,
  KEY_NOT_EXPECTED: 4,
  KEY_WRONG: 5,
  TOO_MANY_CONNECTIONS: 6,
  STALE_EPOCH: 7,
  SHUTTING_DOWN: 8,
  TOO_MANY_CLIENTS: 9,
  TIMEOUT: 10,
} as const;
export type WireError = (typeof WireError)[keyof typeof WireError];

/** What a frame type's body is made of; the reader checks every header against it. */
export interface FrameShape {
  readonly name: string;
  /** Bytes before the entries. */
  readonly fixedBytes: number;
  /** Bytes of each of `count` entries; 0: the header's count must be 0. */
  readonly entryBytes: number;
  readonly countMin: number;
  readonly countMax: number;
  /**
   * none: nothing more; all: a page an entry; some: at most a page an entry, by its status; text: up to
   * ERROR_TEXT_BYTES_MAX of UTF-8.
   */
  readonly rest: "none" | "all" | "some" | "text";
}

const shape = (
  name: string,
  fixedBytes: number,
  entryBytes = 0,
  countMax = 0,
  rest: FrameShape["rest"] = "none",
): FrameShape => ({ name, fixedBytes, entryBytes, countMin: countMax === 0 ? 0 : 1, countMax, rest });

export const frameShapes: ReadonlyMap<number, FrameShape> = new Map([
  [FrameType.HELLO, shape("HELLO", HELLO_BYTES)],
  [FrameType.PROOF, shape("PROOF", PROOF_BYTES)],
  [FrameType.WELCOME, shape("WELCOME", CAPACITY_BYTES)],
  [FrameType.ERROR, shape("ERROR", 0, 0, 0, "text")],
  [FrameType.GOODBYE, shape("GOODBYE", 0)],
  [FrameType.PUTPAGE, shape("PUTPAGE", 0, META_BYTES, PAGES_PER_FRAME_MAX, "all")],
  [FrameType.ACK, shape("ACK", CAPACITY_BYTES, ACK_ENTRY_BYTES, ACK_ENTRIES_MAX)],
  [FrameType.GETPAGE, shape("GETPAGE", 0, PAGE_ID_BYTES, PAGES_PER_FRAME_MAX)],
  [FrameType.PAGES, shape("PAGES", 0, META_BYTES, PAGES_PER_FRAME_MAX, "some")],
  [FrameType.INVALIDATE, shape("INVALIDATE", 0, PAGE_ID_BYTES, INVALIDATE_PAGES_MAX)],
  [FrameType.LIST, shape("LIST", 0)],
  [FrameType.LISTING, { ...shape("LISTING", 0, META_BYTES, PAGES_PER_FRAME_MAX), countMin: 0 }],
  [FrameType.PING, shape("PING", 0)],
  [FrameType.PONG, shape("PONG", CAPACITY_BYTES)],
]);
