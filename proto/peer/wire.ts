/** The wire numbers of the page protocol; peer.md is normative. All integers are little-endian. */
export const PROTOCOL_VERSION = 2;

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
/** Members of a parity group: most that a descriptor can name. */
export const GROUP_MEMBERS_MAX = 8;
/** Member of a group: page id, checksum, index of its server, flags. */
export const MEMBER_BYTES = 16;
/** Descriptor of a group: its id (that of its parity page), member count, members. */
export const GROUP_BYTES = 16 + GROUP_MEMBERS_MAX * MEMBER_BYTES;
/** A page or parity page to be XORed: its id, index of its server or OWN_STORE. */
export const SOURCE_BYTES = 16;
/** Sources of one COMPOSE entry, and of one RECOVER or REBUILD entry. */
export const COMPOSE_SOURCES_MAX = 16;
export const RECOVER_SOURCES_MAX = 8;
/** COMPOSE: the new group, then its sources. */
export const COMPOSE_BYTES = GROUP_BYTES + COMPOSE_SOURCES_MAX * SOURCE_BYTES;
/** RECOVER and REBUILD: the page, its new id, target, then its sources. */
export const RECOVER_BYTES = 40 + RECOVER_SOURCES_MAX * SOURCE_BYTES;
export const SERVER_ENTRY_BYTES = 24;
export const RESULT_ENTRY_BYTES = 16;
export const MISMATCH_BYTES = 24;
export const GROUPS_PER_FRAME_MAX = 16;
export const COMPOSES_PER_FRAME_MAX = 8;
export const RECOVERS_PER_FRAME_MAX = 16;
export const SERVERS_PER_FRAME_MAX = 64;
export const RESULTS_PER_FRAME_MAX = 64;
export const MISMATCHES_PER_FRAME_MAX = 64;
/** Greatest index of a memory server that SERVERS may name. */
export const SERVER_INDEX_MAX = 4095;
/** Server index of a source that lies in the parity server's own store. */
export const OWN_STORE = 0xffff;
/** Longest body before any page data: what a reader must be able to hold of a frame. */
export const FIXED_BODY_BYTES_MAX = 4096;
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
  GROUPS: 0x30,
  SERVERS: 0x31,
  COMPOSE: 0x32,
  REBUILD: 0x33,
  RECOVER: 0x34,
  RESULT: 0x35,
  MISMATCH: 0x36,
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

/** How a COMPOSE or REBUILD entry went. */
export const ResultStatus = {
  /** Done: the new parity page, or the page at its target, is held. */
  OK: 0,
  /** No room for it, here or at the target. */
  FULL: 1,
  /** A source's server, or the target, cannot be reached now. */
  UNREACHABLE: 2,
  /** A source is not where it was said to be. */
  MISSING: 3,
  /** What came of it is not the page: some source's bytes are wrong. */
  WRONG: 4,
} as const;
export type ResultStatus = (typeof ResultStatus)[keyof typeof ResultStatus];

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
  [FrameType.GROUPS, shape("GROUPS", 0, GROUP_BYTES, GROUPS_PER_FRAME_MAX)],
  [FrameType.SERVERS, shape("SERVERS", 0, SERVER_ENTRY_BYTES, SERVERS_PER_FRAME_MAX)],
  [FrameType.COMPOSE, shape("COMPOSE", 0, COMPOSE_BYTES, COMPOSES_PER_FRAME_MAX)],
  [FrameType.REBUILD, shape("REBUILD", 0, RECOVER_BYTES, RECOVERS_PER_FRAME_MAX)],
  [FrameType.RECOVER, shape("RECOVER", 0, RECOVER_BYTES, RECOVERS_PER_FRAME_MAX)],
  [FrameType.RESULT, shape("RESULT", CAPACITY_BYTES, RESULT_ENTRY_BYTES, RESULTS_PER_FRAME_MAX)],
  [FrameType.MISMATCH, shape("MISMATCH", 0, MISMATCH_BYTES, MISMATCHES_PER_FRAME_MAX)],
]);
