import { readU16, readU32 } from "./bytes.ts";
import { OptionReply } from "./constants.ts";
import { decodeUtf8 } from "./utf8.ts";

/** An option's data is not what it should be: the kind of reply, and a message for people. */
export class OptionError extends Error {
  override readonly name = "OptionError";
  readonly reply: number;

  constructor(reply: number, message: string) {
    super(message);
    this.reply = reply;
  }
}

/** Reads an option's data from front to back. Every method throws OptionError where the data ends too soon. */
export class OptionReader {
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  u16(what: string): number {
    return readU16(this.#data, this.#advance(2, what));
  }

  u32(what: string): number {
    return readU32(this.#data, this.#advance(4, what));
  }

  /** A length (4 bytes) and as many bytes of UTF-8. */
  text(what: string, bytesMax: number): string {
    const length = this.u32(what);
    if (length > bytesMax) {
      throw new OptionError(
        OptionReply.ERR_INVALID,
        `${what} has ${length} bytes; at most ${bytesMax} are accepted`,
      );
    }
    const at = this.#advance(length, what);
    const text = decodeUtf8(this.#data.subarray(at, at + length));
    if (text === undefined) {
      throw new OptionError(OptionReply.ERR_INVALID, `${what} is not UTF-8, or contains NUL`);
    }
    return text;
  }

  /** The data must end here. */
  end(): void {
    const left = this.#data.length - this.#at;
    if (left > 0)
      throw new OptionError(OptionReply.ERR_INVALID, `${left} bytes too many in the option's data`);
  }

  #advance(count: number, what: string): number {
    const at = this.#at;
    if (count > this.#data.length - at) {
      throw new OptionError(OptionReply.ERR_INVALID, `the option's data ends inside ${what}`);
    }
    this.#at = at + count;
    return at;
  }
}
