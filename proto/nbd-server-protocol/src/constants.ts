/**
 * The numbers of the NBD protocol, as they stand on the wire (everything is big-endian).
 * 64-bit magics are kept as two 32-bit halves, so that nothing here needs BigInt.
 */

/** Opens the greeting: ASCII "NBDMAGIC". */
export const MAGIC_NBD_HIGH = 0x4e42444d;
export const MAGIC_NBD_LOW = 0x41474943;
/** Second half of a newstyle greeting, and the start of every option of the client: ASCII "IHAVEOPT". */
export const MAGIC_OPTION_HIGH = 0x49484156;
export const MAGIC_OPTION_LOW = 0x454f5054;
/** Opens every reply to an option. */
export const MAGIC_OPTION_REPLY_HIGH = 0x0003e889;
export const MAGIC_OPTION_REPLY_LOW = 0x045565a9;
/** Opens every request of the transmission phase. */
export const MAGIC_REQUEST = 0x25609513;
/** Opens a simple reply. */
export const MAGIC_SIMPLE_REPLY = 0x67446698;
/** Opens a chunk of a structured reply. */
export const MAGIC_STRUCTURED_REPLY = 0x668e33ef;

/** Server's greeting: two magics and 16 bits of handshake flags. */
export const GREETING_BYTES = 18;
/** Client's answer to the greeting: 32 bits of flags. */
export const CLIENT_FLAGS_BYTES = 4;
/** Option: magic (8), option (4), length of its data (4). */
export const OPTION_HEADER_BYTES = 16;
/** Reply to an option: magic (8), option (4), kind (4), length of its data (4). */
export const OPTION_REPLY_HEADER_BYTES = 20;
/** Request: magic (4), flags (2), command (2), cookie (8), offset (8), length (4). */
export const REQUEST_HEADER_BYTES = 28;
/** Simple reply: magic (4), error (4), cookie (8). */
export const SIMPLE_REPLY_BYTES = 16;
/** Structured chunk: magic (4), flags (2), type (2), cookie (8), length of its payload (4). */
export const CHUNK_HEADER_BYTES = 20;
/** Zeroes after the answer to EXPORT_NAME, unless NO_ZEROES was agreed. */
export const EXPORT_NAME_ZEROES_BYTES = 124;

/** Handshake flags, server to client. */
export const HandshakeFlag = {
  /** Options beyond EXPORT_NAME are understood and answered. */
  FIXED_NEWSTYLE: 1 << 0,
  /** The 124 zeroes can be left out. */
  NO_ZEROES: 1 << 1,
} as const;

/** Client flags; any other bit ends the session. */
export const ClientFlag = {
  FIXED_NEWSTYLE: 1 << 0,
  NO_ZEROES: 1 << 1,
} as const;

/** Options of the negotiation. */
export const NbdOption = {
  /** Choose an export and enter transmission; cannot be refused other than by hanging up. */
  EXPORT_NAME: 1,
  /** End the session; acknowledged. */
  ABORT: 2,
  /** Names (and descriptions) of the exports. */
  LIST: 3,
  /** Withdrawn from the protocol; answered as unknown. */
  PEEK_EXPORT: 4,
  /** Continue in TLS. */
  STARTTLS: 5,
  /** What GO would say, without entering transmission. */
  INFO: 6,
  /** Choose an export and enter transmission, with answers. */
  GO: 7,
  /** Replies of the transmission phase come in typed chunks. */
  STRUCTURED_REPLY: 8,
  /** Which metadata contexts exist. */
  LIST_META_CONTEXT: 9,
  /** Select metadata contexts for BLOCK_STATUS. */
  SET_META_CONTEXT: 10,
  /** 64-bit lengths; not supported, answered as unknown. */
  EXTENDED_HEADERS: 11,
} as const;

/** Kinds of reply to an option. */
export const OptionReply = {
  /** Done. */
  ACK: 1,
  /** One export of LIST. */
  SERVER: 2,
  /** One piece of information of INFO or GO. */
  INFO: 3,
  /** One metadata context. */
  META_CONTEXT: 4,
  /** Unknown option. */
  ERR_UNSUP: 0x80000001,
  /** Known, but forbidden here. */
  ERR_POLICY: 0x80000002,
  /** Malformed, or out of order. */
  ERR_INVALID: 0x80000003,
  /** Not possible on this platform. */
  ERR_PLATFORM: 0x80000004,
  /** TLS first. */
  ERR_TLS_REQD: 0x80000005,
  /** No such export. */
  ERR_UNKNOWN: 0x80000006,
  /** The server is stopping. */
  ERR_SHUTDOWN: 0x80000007,
  /** Block sizes must be asked for first. */
  ERR_BLOCK_SIZE_REQD: 0x80000008,
  /** Request or reply too large. */
  ERR_TOO_BIG: 0x80000009,
} as const;

/** Kinds of information in INFO and GO. */
export const InfoType = {
  /** Size (8) and transmission flags (2). */
  EXPORT: 0,
  /** Canonical name. */
  NAME: 1,
  /** Text for people. */
  DESCRIPTION: 2,
  /** Minimum, preferred and maximum block size (4 each). */
  BLOCK_SIZE: 3,
} as const;

/** Transmission flags: what the export can do. */
export const TransmissionFlag = {
  /** Always set. */
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  ROTATIONAL: 1 << 4,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  /** Only with structured replies. */
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
} as const;

/** Commands of the transmission phase. */
export const NbdCommand = {
  READ: 0,
  /** The only one followed by a payload. */
  WRITE: 1,
  /** The client leaves; no reply. */
  DISC: 2,
  /** Answered once all that was answered before it is on stable storage. */
  FLUSH: 3,
  /** A hint: the range is not needed any more. */
  TRIM: 4,
  /** A hint: the range will be read soon. */
  CACHE: 5,
  /** The range is to read as zeroes. */
  WRITE_ZEROES: 6,
  /** Which parts of the range are holes, and which read as zeroes. */
  BLOCK_STATUS: 7,
} as const;

/** Flags of a request. */
export const CommandFlag = {
  /** Answer only once the data is on stable storage; allowed with every command if advertised. */
  FUA: 1 << 0,
  /** WRITE_ZEROES: keep the range allocated. */
  NO_HOLE: 1 << 1,
  /** READ: at most one content chunk. */
  DF: 1 << 2,
  /** BLOCK_STATUS: one extent is enough. */
  REQ_ONE: 1 << 3,
  /** WRITE_ZEROES: fail with ENOTSUP rather than be slow. */
  FAST_ZERO: 1 << 4,
} as const;

/** Types of a structured reply's chunks. */
export const ChunkType = {
  /** No content; ends a reply. */
  NONE: 0,
  /** Offset (8) and data. */
  OFFSET_DATA: 1,
  /** Offset (8) and length (4) of a range that reads as zeroes. */
  OFFSET_HOLE: 2,
  /** Context id (4), then pairs of length (4) and flags (4). */
  BLOCK_STATUS: 5,
  /** Error (4), length of a message (2), message. */
  ERROR: 0x8001,
} as const;

/** Flags of a chunk. */
export const ChunkFlag = {
  /** The last chunk of its reply. */
  DONE: 1 << 0,
} as const;

/** Flags of an extent in the base:allocation context. */
export const NbdAllocation = {
  /** Allocated data (or nothing known). */
  DATA: 0,
  /** Not allocated. */
  HOLE: 1 << 0,
  /** Reads as zeroes. */
  ZERO: 1 << 1,
} as const;

/** The error numbers that may stand in a reply. */
export const NbdErrno = {
  /** Not permitted (read-only). */
  EPERM: 1,
  /** Input/output error. */
  EIO: 5,
  /** Out of memory. */
  ENOMEM: 12,
  /** The request itself is wrong. */
  EINVAL: 22,
  /** No space, or a write beyond the end. */
  ENOSPC: 28,
  /** Too large to be sent in one piece. */
  EOVERFLOW: 75,
  /** A fast zeroing is not possible. */
  ENOTSUP: 95,
  /** The server is stopping. */
  ESHUTDOWN: 108,
} as const;
export type NbdErrno = (typeof NbdErrno)[keyof typeof NbdErrno];

/** The one metadata context of this package. */
export const BASE_ALLOCATION = "base:allocation";
/** Its id in BLOCK_STATUS replies. */
export const BASE_ALLOCATION_ID = 1;
