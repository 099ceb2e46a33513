import { readU32, writeU64 } from "./bytes.ts";
import {
  CLIENT_FLAGS_BYTES,
  ClientFlag,
  EXPORT_NAME_ZEROES_BYTES,
  GREETING_BYTES,
  HandshakeFlag,
  MAGIC_NBD_HIGH,
  MAGIC_NBD_LOW,
  MAGIC_OPTION_HIGH,
  MAGIC_OPTION_LOW,
  NbdOption,
  OPTION_HEADER_BYTES,
  OptionReply,
} from "./constants.ts";
import { NbdSessionError, type NbdSessionErrorCode } from "./errors.ts";
import { transmissionFlags } from "./export.ts";
import type { SessionHost } from "./host.ts";
import { Options } from "./options.ts";
import { appendZeroes } from "./output.ts";
import type { Agreement } from "./rules.ts";
import { Scratch } from "./scratch.ts";

const NO_DATA = new Uint8Array(0);

/**
 * The negotiation: greeting, the client's flags, then options one after the other. This file cuts the input
 * into options; `Options` answers them.
 */
export class Handshake {
  readonly #host: SessionHost;
  readonly #options: Options;
  readonly #scratch = new Scratch(OPTION_HEADER_BYTES);
  #step: "flags" | "header" | "data" | "drain" | "starttls" | "done" = "flags";
  #clientFlags = 0;
  #optionCount = 0;
  /** The option whose data is being read, that data, and how much of it is still to come. */
  #option = 0;
  #data: Uint8Array = NO_DATA;
  #left = 0;
  #over = false;
  /** Set once an export was chosen. */
  agreement: Agreement | undefined;

  constructor(host: SessionHost) {
    this.#host = host;
    this.#options = new Options(host);
    this.#scratch.expect(CLIENT_FLAGS_BYTES);
  }

  /** STARTTLS was acknowledged: what comes next is not for this phase. */
  get waitsForTls(): boolean {
    return this.#step === "starttls";
  }

  get tlsActive(): boolean {
    return this.#options.tlsActive;
  }

  greet(): void {
    const at = this.#host.output.reserve(GREETING_BYTES);
    const view = this.#host.output.view;
    view.setUint32(at, MAGIC_NBD_HIGH);
    view.setUint32(at + 4, MAGIC_NBD_LOW);
    view.setUint32(at + 8, MAGIC_OPTION_HIGH);
    view.setUint32(at + 12, MAGIC_OPTION_LOW);
    view.setUint16(at + 16, HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES);
  }

  tlsEstablished(): void {
    this.#options.tlsEstablished();
    this.#expectHeader();
  }

  /** The session is closed. */
  abandon(): void {
    this.#over = true;
    this.#data = NO_DATA;
  }

  /** Consumes bytes[at, end) until transmission, TLS or the end; returns where it stopped. */
  receive(bytes: Uint8Array, at: number, end: number): number {
    while (at < end && !this.#over && this.#step !== "done" && this.#step !== "starttls") {
      if (this.#step === "data" || this.#step === "drain") {
        at = this.#readData(bytes, at, end);
      } else {
        at = this.#scratch.fill(bytes, at, end);
        if (!this.#scratch.complete) break;
        if (this.#step === "flags") this.#readFlags();
        else this.#readHeader();
      }
    }
    return at;
  }

  #expectHeader(): void {
    this.#step = "header";
    this.#scratch.expect(OPTION_HEADER_BYTES);
  }

  #readFlags(): void {
    const flags = readU32(this.#scratch.bytes, 0);
    const unknown = flags & ~(ClientFlag.FIXED_NEWSTYLE | ClientFlag.NO_ZEROES);
    if (unknown !== 0) {
      this.#fail("bad-client-flags", `unknown client flags 0x${(unknown >>> 0).toString(16)}`);
      return;
    }
    this.#clientFlags = flags;
    this.#expectHeader();
  }

  #readHeader(): void {
    const { bytes } = this.#scratch;
    if (readU32(bytes, 0) !== MAGIC_OPTION_HIGH || readU32(bytes, 4) !== MAGIC_OPTION_LOW) {
      this.#fail("bad-option-magic", "an option does not start with IHAVEOPT");
      return;
    }
    const option = readU32(bytes, 8);
    const length = readU32(bytes, 12);
    const { limits } = this.#host;
    if ((this.#clientFlags & ClientFlag.FIXED_NEWSTYLE) === 0 && option !== NbdOption.EXPORT_NAME) {
      this.#fail("not-fixed-newstyle", `option ${option} from a client that knows only EXPORT_NAME`);
    } else if (++this.#optionCount > limits.optionsMax) {
      this.#fail("too-many-options", `more than ${limits.optionsMax} options`);
    } else if (length > limits.optionDrainBytesMax) {
      const most = limits.optionDrainBytesMax;
      this.#fail("option-too-long", `option ${option} has ${length} bytes of data; at most ${most} are read`);
    } else {
      this.#expectData(option, length);
    }
  }

  #expectData(option: number, length: number): void {
    this.#option = option;
    this.#left = length;
    const keep = length <= this.#host.limits.optionBytesMax;
    this.#step = keep ? "data" : "drain";
    this.#data = keep && length > 0 ? new Uint8Array(length) : NO_DATA;
    if (length === 0) this.#answer();
  }

  #readData(bytes: Uint8Array, at: number, end: number): number {
    const count = Math.min(this.#left, end - at);
    if (this.#step === "data") {
      this.#data.set(bytes.subarray(at, at + count), this.#data.length - this.#left);
    }
    this.#left -= count;
    if (this.#left === 0) this.#answer();
    return at + count;
  }

  /** The option's data is complete. */
  #answer(): void {
    const option = this.#option;
    const data = this.#data;
    const dropped = this.#step === "drain";
    this.#data = NO_DATA;
    this.#expectHeader();
    if (option === NbdOption.EXPORT_NAME) {
      this.#exportName(data, dropped);
    } else {
      const outcome = this.#options.answer(option, dropped ? undefined : data);
      if (outcome === "starttls") this.#step = "starttls";
      else if (outcome !== "continue") this.#choose(outcome);
    }
  }

  #exportName(data: Uint8Array, dropped: boolean): void {
    if (dropped) {
      this.#fail("unknown-export", "EXPORT_NAME with a name longer than any export's");
      return;
    }
    const agreement = this.#options.exportByName(data);
    if (agreement === undefined) return;
    const at = this.#host.output.reserve(10);
    writeU64(this.#host.output.view, at, agreement.export.sizeBytes);
    const flags = transmissionFlags(agreement.export, agreement.structuredReplies);
    this.#host.output.view.setUint16(at + 8, flags);
    if ((this.#clientFlags & ClientFlag.NO_ZEROES) === 0) {
      appendZeroes(this.#host.output, EXPORT_NAME_ZEROES_BYTES);
    }
    this.#host.emit?.({ kind: "option", option: NbdOption.EXPORT_NAME, reply: OptionReply.ACK });
    this.#choose(agreement);
  }

  #choose(agreement: Agreement): void {
    this.#step = "done";
    this.agreement = agreement;
  }

  #fail(code: NbdSessionErrorCode, message: string): void {
    this.#host.close(new NbdSessionError(code, message));
  }
}
