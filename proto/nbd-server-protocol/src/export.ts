import { TransmissionFlag } from "./constants.ts";
import { NbdUsageError } from "./errors.ts";
import { encodeUtf8 } from "./utf8.ts";

/** One export: what a client is told of it, and what requests are checked against. */
export interface NbdExport {
  /** At most 4096 bytes of UTF-8 without NUL. The empty name is the default export. */
  name: string;
  /** Text for people; empty for none. At most 4096 bytes of UTF-8. */
  description: string;
  /** 0 to 2^53 - 1. Must not change while a session uses the export. */
  sizeBytes: number;
  /** WRITE, TRIM and WRITE_ZEROES are refused (EPERM). */
  readOnly: boolean;
  /** FLUSH: answered once all that was answered before it is on stable storage. */
  canFlush: boolean;
  /** FUA: a request that has it is answered once what it wrote is on stable storage. */
  canFua: boolean;
  /** TRIM: the range may be discarded. */
  canTrim: boolean;
  /** WRITE_ZEROES, with and without NO_HOLE: the range reads as zeroes after it. */
  canWriteZeroes: boolean;
  /** WRITE_ZEROES with FAST_ZERO; needs canWriteZeroes. */
  canFastZero: boolean;
  /** CACHE: the range will be read soon. */
  canCache: boolean;
  /** What one connection has flushed, or was answered with FUA, is seen by all others. */
  canMultiConn: boolean;
  /** Seeks are slow; the client may sort its requests. Default false. */
  rotational?: boolean;
  blockSize: NbdBlockSize;
}

/** Sizes in bytes. */
export interface NbdBlockSize {
  /**
   * A power of two up to 65536. Clients that asked for block sizes with GO are held to it (EINVAL); all others
   * have not agreed to it, and their requests reach the handler as they are. With 1 nothing is refused.
   */
  minimum: number;
  /** A power of two, at least 512 and at least the minimum. */
  preferred: number;
  /** The longest READ and WRITE; a multiple of the minimum (or 0xffffffff), at least the preferred size. */
  maximum: number;
}

/** The sizes the protocol assumes of a server that says nothing. */
export const NBD_BLOCK_SIZE: Readonly<NbdBlockSize> = Object.freeze({
  minimum: 1,
  preferred: 4096,
  maximum: 32 * 1024 * 1024,
});

/** The exports that a session offers. What it gives must pass `checkExport`, or `receive` throws NbdUsageError. */
export interface NbdExports {
  /** What LIST shows. */
  list(): readonly NbdExport[];
  /** The export of this name ("" asks for the default one), or undefined. */
  find(name: string): NbdExport | undefined;
}

/** A fixed set of exports. The empty name finds the export of that name, else the only export there is. */
export class NbdExportTable implements NbdExports {
  readonly #exports: readonly NbdExport[];
  readonly #byName = new Map<string, NbdExport>();

  /** @throws NbdUsageError for a malformed export or a name used twice. */
  constructor(exports: readonly NbdExport[]) {
    this.#exports = [...exports];
    for (const one of exports) {
      checkExport(one);
      if (this.#byName.has(one.name)) throw new NbdUsageError(`two exports are named "${one.name}"`);
      this.#byName.set(one.name, one);
    }
  }

  list(): readonly NbdExport[] {
    return this.#exports;
  }

  find(name: string): NbdExport | undefined {
    const found = this.#byName.get(name);
    if (found !== undefined || name !== "") return found;
    return this.#exports.length === 1 ? this.#exports[0] : undefined;
  }
}

/** @throws NbdUsageError naming the field that no client could be told. */
export function checkExport(one: NbdExport): void {
  const fail = (what: string): never => {
    throw new NbdUsageError(`export "${one.name}": ${what}`);
  };
  for (const text of [one.name, one.description]) {
    if (encodeUtf8(text).length > 4096) fail("name and description may have 4096 bytes each");
    if (text.includes("\0")) fail("name and description must not contain NUL");
    if (/\p{Surrogate}/u.test(text)) fail("name and description must not contain half a character");
  }
  if (!Number.isSafeInteger(one.sizeBytes) || one.sizeBytes < 0) {
    fail(`size is ${one.sizeBytes}; an integer from 0 to 2^53 - 1 is accepted`);
  }
  if (one.canFastZero && !one.canWriteZeroes) fail("canFastZero needs canWriteZeroes");
  const { minimum, preferred, maximum } = one.blockSize;
  if (!isPowerOfTwo(minimum) || minimum > 65536)
    fail("minimum block size must be a power of two up to 65536");
  if (!isPowerOfTwo(preferred) || preferred < Math.max(512, minimum)) {
    fail("preferred block size must be a power of two, at least 512 and at least the minimum");
  }
  const multiple = maximum === 0xffffffff || maximum % minimum === 0;
  if (!Number.isInteger(maximum) || maximum > 0xffffffff || maximum < preferred || !multiple) {
    fail("maximum block size must be a multiple of the minimum, from the preferred size to 0xffffffff");
  }
}

/** The 16 flags that tell a client what the export can do in this session. */
export function transmissionFlags(one: NbdExport, structuredReplies: boolean): number {
  let flags: number = TransmissionFlag.HAS_FLAGS;
  if (one.readOnly) flags |= TransmissionFlag.READ_ONLY;
  if (one.canFlush) flags |= TransmissionFlag.SEND_FLUSH;
  if (one.canFua) flags |= TransmissionFlag.SEND_FUA;
  if (one.rotational) flags |= TransmissionFlag.ROTATIONAL;
  if (one.canTrim && !one.readOnly) flags |= TransmissionFlag.SEND_TRIM;
  if (one.canWriteZeroes && !one.readOnly) flags |= TransmissionFlag.SEND_WRITE_ZEROES;
  if (one.canFastZero && !one.readOnly) flags |= TransmissionFlag.SEND_FAST_ZERO;
  if (one.canCache) flags |= TransmissionFlag.SEND_CACHE;
  if (one.canMultiConn) flags |= TransmissionFlag.CAN_MULTI_CONN;
  if (structuredReplies) flags |= TransmissionFlag.SEND_DF;
  return flags;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && Number.isInteger(Math.log2(value));
}
