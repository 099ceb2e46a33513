import { CommandFlag, NbdCommand, NbdErrno } from "./constants.ts";
import type { NbdExport } from "./export.ts";
import type { NbdRequest } from "./request.ts";
import { encodeUtf8 } from "./utf8.ts";

/** What client and server agreed on before transmission. */
export interface Agreement {
  readonly export: NbdExport;
  readonly structuredReplies: boolean;
  /** The client selected base:allocation for this export. */
  readonly allocationContext: boolean;
  /** The client asked for the block sizes as it entered transmission, and is held to the minimum. */
  readonly blockSizesAgreed: boolean;
}

/** An answer that the protocol itself dictates. Prepared once, so that refusing allocates nothing. */
export interface Refusal {
  readonly error: NbdErrno;
  readonly message: string;
  readonly messageBytes: Uint8Array;
}

function refusal(error: NbdErrno, message: string): Refusal {
  return { error, message, messageBytes: encodeUtf8(message) };
}

export const REFUSED_SHUTDOWN = refusal(NbdErrno.ESHUTDOWN, "the server is shutting down");
const UNKNOWN_COMMAND = refusal(NbdErrno.EINVAL, "unknown command");
const NOT_OFFERED = refusal(NbdErrno.EINVAL, "the export does not offer this command");
const NO_CONTEXT = refusal(NbdErrno.EINVAL, "no metadata context was selected");
const WRONG_FLAGS = refusal(NbdErrno.EINVAL, "unknown flag, or one that is not valid for this command");
const READ_ONLY = refusal(NbdErrno.EPERM, "the export is read-only");
const FLUSH_RANGE = refusal(NbdErrno.EINVAL, "offset and length of a flush must be 0");
const BEYOND_END = refusal(NbdErrno.EINVAL, "the request goes beyond the end of the export");
const WRITE_BEYOND_END = refusal(NbdErrno.ENOSPC, "the write goes beyond the end of the export");
const EMPTY_RANGE = refusal(NbdErrno.EINVAL, "the length must not be 0");
const TOO_LONG = refusal(NbdErrno.EINVAL, "longer than the maximum block size");
const TOO_LONG_UNFRAGMENTED = refusal(NbdErrno.EOVERFLOW, "too long to be sent as one chunk");
const UNALIGNED = refusal(NbdErrno.EINVAL, "not aligned to the minimum block size");

/** Bit of a command in a set of commands. */
const bit = (command: number): number => 1 << command;

/** Commands whose range may be zeroed, discarded or written. */
const WRITING = bit(NbdCommand.WRITE) | bit(NbdCommand.TRIM) | bit(NbdCommand.WRITE_ZEROES);
/** Of those, the ones answered ENOSPC rather than EINVAL beyond the end. */
const FILLING = bit(NbdCommand.WRITE) | bit(NbdCommand.WRITE_ZEROES);
/** Commands that carry data on the wire, and are held to the maximum block size. */
const CARRYING = bit(NbdCommand.READ) | bit(NbdCommand.WRITE);
const COMMAND_LAST = NbdCommand.BLOCK_STATUS;
/** The longest data that a chunk's 32-bit length can count beside the offset in front of it. */
const CHUNK_DATA_BYTES_MAX = 0xffffffff - 8;

/** Judges requests against one agreement. */
export class RequestRules {
  readonly #sizeBytes: number;
  readonly #minimum: number;
  readonly #maximum: number;
  readonly #readMaximum: number;
  readonly #readOnly: boolean;
  readonly #allocationContext: boolean;
  /** Set of the commands the export offers. */
  readonly #offered: number;
  /** Allowed flags, by command. */
  readonly #flags: readonly number[];

  constructor(agreement: Agreement) {
    const one = agreement.export;
    this.#sizeBytes = one.sizeBytes;
    this.#minimum = agreement.blockSizesAgreed ? one.blockSize.minimum : 1;
    this.#maximum = one.blockSize.maximum;
    this.#readMaximum = agreement.structuredReplies
      ? Math.min(this.#maximum, CHUNK_DATA_BYTES_MAX)
      : this.#maximum;
    this.#readOnly = one.readOnly;
    this.#allocationContext = agreement.allocationContext;
    this.#offered = offeredCommands(one);
    this.#flags = allowedFlags(one, agreement.structuredReplies);
  }

  /** Why `request` is refused, or undefined if it may go to the handler. */
  check(request: NbdRequest): Refusal | undefined {
    const { command } = request;
    if (command > COMMAND_LAST || command === NbdCommand.DISC) return UNKNOWN_COMMAND;
    if (this.#readOnly && (WRITING & bit(command)) !== 0) return READ_ONLY;
    if ((this.#offered & bit(command)) === 0) return NOT_OFFERED;
    if ((request.flags & ~this.#flags[command]) !== 0) return WRONG_FLAGS;
    if (command === NbdCommand.FLUSH) {
      return request.offset === 0 && request.length === 0 ? undefined : FLUSH_RANGE;
    }
    return this.#checkRange(request);
  }

  #checkRange(request: NbdRequest): Refusal | undefined {
    const { command, offset, length } = request;
    if (offset > this.#sizeBytes || length > this.#sizeBytes - offset) {
      return (FILLING & bit(command)) !== 0 ? WRITE_BEYOND_END : BEYOND_END;
    }
    if (command === NbdCommand.BLOCK_STATUS) {
      if (!this.#allocationContext) return NO_CONTEXT;
      if (length === 0) return EMPTY_RANGE;
    }
    const maximum = command === NbdCommand.READ ? this.#readMaximum : this.#maximum;
    if (length > maximum && (CARRYING & bit(command)) !== 0) {
      return (request.flags & CommandFlag.DF) !== 0 ? TOO_LONG_UNFRAGMENTED : TOO_LONG;
    }
    if (this.#minimum > 1 && !this.#aligned(offset, length)) return UNALIGNED;
    return undefined;
  }

  /** The end of the export counts as aligned. */
  #aligned(offset: number, length: number): boolean {
    const end = offset + length;
    return offset % this.#minimum === 0 && (end % this.#minimum === 0 || end === this.#sizeBytes);
  }
}

function offeredCommands(one: NbdExport): number {
  let offered = CARRYING | bit(NbdCommand.BLOCK_STATUS);
  if (one.canFlush) offered |= bit(NbdCommand.FLUSH);
  if (one.canTrim) offered |= bit(NbdCommand.TRIM);
  if (one.canWriteZeroes) offered |= bit(NbdCommand.WRITE_ZEROES);
  if (one.canCache) offered |= bit(NbdCommand.CACHE);
  return offered;
}

/** FUA is valid for every command once advertised: existing clients set it on reads and flushes too. */
function allowedFlags(one: NbdExport, structuredReplies: boolean): number[] {
  const flags = new Array<number>(COMMAND_LAST + 1).fill(one.canFua ? CommandFlag.FUA : 0);
  if (structuredReplies) flags[NbdCommand.READ] |= CommandFlag.DF;
  flags[NbdCommand.WRITE_ZEROES] |= CommandFlag.NO_HOLE;
  if (one.canFastZero) flags[NbdCommand.WRITE_ZEROES] |= CommandFlag.FAST_ZERO;
  flags[NbdCommand.BLOCK_STATUS] |= CommandFlag.REQ_ONE;
  return flags;
}
