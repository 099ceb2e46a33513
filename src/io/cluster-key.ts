import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { ConfigError, quote } from "../base/config-error.ts";

/** Bytes of a nonce and of a proof. */
export const nonceBytes = 32;
export const proofBytes = 32;

const keyBytesMin = 16;
const keyBytesMax = 4096;

/** 32 fresh random bytes. */
export function randomNonce(): Uint8Array {
  return randomBytes(nonceBytes);
}

/** The secret that all nodes of a cluster share. It never leaves the process; only proofs of it do. */
export class ClusterKey {
  readonly #secret: Uint8Array;

  private constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /**
   * A key from bytes at hand.
   * @throws Error if shorter than 16 bytes or longer than 4 KiB
   */
  static fromBytes(secret: Uint8Array): ClusterKey {
    if (secret.length < keyBytesMin || secret.length > keyBytesMax) {
      throw new Error(`holds ${secret.length} bytes; accepted: ${keyBytesMin} to ${keyBytesMax}`);
    }
    return new ClusterKey(Uint8Array.from(secret));
  }

  /**
   * Reads a key file: any bytes, 16 to 4096 of them; line ends at the end do not count, so that a key survives an
   * editor. A file that group or others may access is refused, as ssh does, with the command that mends it.
   * @throws ConfigError naming `--key-file`
   */
  static load(path: string): ClusterKey {
    const bytes = readKeyFile(path);
    let end = bytes.length;
    while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
    if (end === 0) throw refusal(path, "is empty; make one with: head -c 32 /dev/urandom | base64 > FILE");
    try {
      return ClusterKey.fromBytes(bytes.subarray(0, end));
    } catch (error) {
      throw refusal(path, (error as Error).message);
    }
  }

  /**
   * HMAC-SHA256 over the label and the parts, each with its length before it, so that no two lists of parts give
   * the same input. @param label what is proved; a proof for one label never passes for another
   */
  proof(label: string, ...parts: Uint8Array[]): Uint8Array {
    const mac = createHmac("sha256", this.#secret);
    const length = Buffer.alloc(4);
    for (const part of [Buffer.from(label, "utf8"), ...parts]) {
      length.writeUInt32BE(part.length);
      mac.update(length).update(part);
    }
    return mac.digest();
  }

  /** Whether the proof is right for label and parts, in constant time. */
  verify(proof: Uint8Array, label: string, ...parts: Uint8Array[]): boolean {
    const right = this.proof(label, ...parts);
    return proof.length === right.length && timingSafeEqual(proof, right);
  }
}

function readKeyFile(path: string): Uint8Array {
  let fd: number;
  try {
    // Non-blocking, or a FIFO given by mistake would hang the start.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT" ? "does not exist" : code === "EACCES" ? "may not be read" : `failed: ${code}`;
    throw refusal(path, why, error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw refusal(path, "is not a regular file");
    if ((stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(3, "0");
      throw refusal(
        path,
        `may be accessed by group or others (mode ${mode}); mend it with: chmod 600 ${path}`,
      );
    }
    // With line ends: what is longer is not read.
    if (stat.size > keyBytesMax + 2) {
      throw refusal(path, `holds ${stat.size} bytes; accepted: ${keyBytesMin} to ${keyBytesMax}`);
    }
    const bytes = Buffer.alloc(keyBytesMax + 3);
    let filled = 0;
    while (filled < bytes.length) {
      const got = readSync(fd, bytes, filled, bytes.length - filled, null);
      if (got === 0) break;
      filled += got;
    }
    return bytes.subarray(0, filled);
  } finally {
    closeSync(fd);
  }
}

function refusal(path: string, problem: string, cause?: unknown): ConfigError {
  return new ConfigError("--key-file", `${quote(path)} ${problem}`, { code: "KEY_UNUSABLE", cause });
}
