import { BASE_ALLOCATION, BASE_ALLOCATION_ID, InfoType, NbdOption, OptionReply } from "./constants.ts";
import { NbdSessionError, type NbdSessionErrorCode } from "./errors.ts";
import { checkExport, type NbdExport, transmissionFlags } from "./export.ts";
import type { SessionHost } from "./host.ts";
import { matchesAllocation, parseMetaQueries } from "./metacontext.ts";
import { OptionError, OptionReader } from "./option-reader.ts";
import * as replies from "./option-replies.ts";
import type { Agreement } from "./rules.ts";
import { decodeUtf8 } from "./utf8.ts";

/** What follows an option: the next one, TLS, or transmission (or nothing, if the session was closed). */
export type OptionOutcome = "continue" | "starttls" | Agreement;

/** Options answered here; EXPORT_NAME is apart, since it cannot be refused in words. */
const KNOWN: ReadonlySet<number> = new Set([
  NbdOption.LIST,
  NbdOption.STARTTLS,
  NbdOption.INFO,
  NbdOption.GO,
  NbdOption.STRUCTURED_REPLY,
  NbdOption.LIST_META_CONTEXT,
  NbdOption.SET_META_CONTEXT,
]);

/** Those of them that carry no data. */
const WITHOUT_DATA: ReadonlySet<number> = new Set([
  NbdOption.LIST,
  NbdOption.STARTTLS,
  NbdOption.STRUCTURED_REPLY,
]);

/** Answers options, and remembers what they agreed on. */
export class Options {
  readonly #host: SessionHost;
  #tlsActive = false;
  #structuredReplies = false;
  /** The export for which base:allocation is selected. */
  #allocationOf: string | undefined;

  constructor(host: SessionHost) {
    this.#host = host;
  }

  get tlsActive(): boolean {
    return this.#tlsActive;
  }

  /** All that was agreed in the clear is forgotten. */
  tlsEstablished(): void {
    this.#tlsActive = true;
    this.#structuredReplies = false;
    this.#allocationOf = undefined;
  }

  /**
   * Answers `option`; `data` is its whole data, or undefined if that was too long to be kept. A malformed
   * option is answered, never thrown.
   */
  answer(option: number, data: Uint8Array | undefined): OptionOutcome {
    try {
      return this.#route(option, data);
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      this.#reply(option, error.reply, error.message);
      return "continue";
    }
  }

  /** The final reply to an option. */
  #reply(option: number, kind: number, message = ""): void {
    replies.writeOptionReply(this.#host.output, option, kind, message);
    this.#host.emit?.({ kind: "option", option, reply: kind });
  }

  /**
   * EXPORT_NAME: the export and what was agreed, or undefined after closing the session, since the protocol
   * has no way to refuse.
   */
  exportByName(data: Uint8Array): Agreement | undefined {
    const close = (code: NbdSessionErrorCode, message: string): undefined => {
      this.#host.close(new NbdSessionError(code, message));
      return undefined;
    };
    if (this.#tlsMissing) return close("tls-required", "EXPORT_NAME before TLS, which is required here");
    if (this.#host.stopping) return close("shut-down", "EXPORT_NAME while the server is shutting down");
    const tooLong = data.length > this.#host.limits.nameBytesMax;
    const name = tooLong ? undefined : decodeUtf8(data);
    if (name === undefined) {
      const most = this.#host.limits.nameBytesMax;
      return close("unknown-export", `EXPORT_NAME is not UTF-8 without NUL of at most ${most} bytes`);
    }
    const found = this.#find(name);
    if (found === undefined) return close("unknown-export", `no export is named "${name.slice(0, 100)}"`);
    return this.#agreement(found, false);
  }

  get #tlsMissing(): boolean {
    return this.#host.tls === "required" && !this.#tlsActive;
  }

  #route(option: number, data: Uint8Array | undefined): OptionOutcome {
    if (option === NbdOption.ABORT) {
      this.#reply(option, OptionReply.ACK);
      this.#host.close(undefined);
      return "continue";
    }
    // A new selection, even one that fails, takes the place of the old one.
    if (option === NbdOption.SET_META_CONTEXT) this.#allocationOf = undefined;
    if (this.#tlsMissing && option !== NbdOption.STARTTLS) {
      throw new OptionError(OptionReply.ERR_TLS_REQD, "this server requires TLS");
    }
    if (this.#host.stopping) throw new OptionError(OptionReply.ERR_SHUTDOWN, "the server is shutting down");
    if (!KNOWN.has(option)) {
      throw new OptionError(OptionReply.ERR_UNSUP, "this server does not know the option");
    }
    if (data?.length !== 0 && WITHOUT_DATA.has(option)) {
      throw new OptionError(OptionReply.ERR_INVALID, "this option has no data");
    }
    if (data === undefined) {
      const most = this.#host.limits.optionBytesMax;
      throw new OptionError(OptionReply.ERR_TOO_BIG, `at most ${most} bytes of data are accepted`);
    }
    return this.#serve(option, data);
  }

  #serve(option: number, data: Uint8Array): OptionOutcome {
    switch (option) {
      case NbdOption.LIST:
        return this.#list();
      case NbdOption.STARTTLS:
        return this.#startTls();
      case NbdOption.INFO:
      case NbdOption.GO:
        return this.#info(option, data);
      case NbdOption.STRUCTURED_REPLY:
        this.#structuredReplies = true;
        this.#reply(option, OptionReply.ACK);
        return "continue";
      default:
        return this.#metaContext(option, data);
    }
  }

  #list(): OptionOutcome {
    const exports = this.#host.exports.list();
    exports.forEach(checkExport);
    for (const one of exports) {
      replies.writeServer(this.#host.output, NbdOption.LIST, one.name, one.description);
    }
    this.#reply(NbdOption.LIST, OptionReply.ACK);
    return "continue";
  }

  #startTls(): OptionOutcome {
    if (this.#host.tls === "none") throw new OptionError(OptionReply.ERR_UNSUP, "this server has no TLS");
    if (this.#tlsActive) throw new OptionError(OptionReply.ERR_INVALID, "TLS is active already");
    this.#reply(NbdOption.STARTTLS, OptionReply.ACK);
    return "starttls";
  }

  #info(option: number, data: Uint8Array): OptionOutcome {
    const reader = new OptionReader(data);
    const name = reader.text("the export's name", this.#host.limits.nameBytesMax);
    const asked = new Set<number>();
    for (let left = reader.u16("the number of requests"); left > 0; left--)
      asked.add(reader.u16("a request"));
    reader.end();
    const found = this.#mustFind(name);
    this.#writeInfo(option, found, asked);
    this.#reply(option, OptionReply.ACK);
    // Whoever asks with INFO looks at the block sizes; whoever asks with GO agrees to them.
    return option === NbdOption.GO ? this.#agreement(found, asked.has(InfoType.BLOCK_SIZE)) : "continue";
  }

  /** EXPORT is always told, the rest only if asked for; kinds that are unknown here are passed over. */
  #writeInfo(option: number, found: NbdExport, asked: ReadonlySet<number>): void {
    const { output } = this.#host;
    const flags = transmissionFlags(found, this.#structuredReplies);
    replies.writeInfoExport(output, option, found.sizeBytes, flags);
    if (asked.has(InfoType.NAME)) replies.writeInfoText(output, option, InfoType.NAME, found.name);
    if (asked.has(InfoType.DESCRIPTION) && found.description !== "") {
      replies.writeInfoText(output, option, InfoType.DESCRIPTION, found.description);
    }
    if (asked.has(InfoType.BLOCK_SIZE)) {
      replies.writeInfoBlockSize(output, option, found.blockSize);
    }
  }

  #metaContext(option: number, data: Uint8Array): OptionOutcome {
    if (!this.#structuredReplies) {
      throw new OptionError(OptionReply.ERR_INVALID, "structured replies must be negotiated first");
    }
    const { exportName, queries } = parseMetaQueries(data, this.#host.limits);
    const found = this.#mustFind(exportName);
    if (matchesAllocation(option, queries)) {
      const select = option === NbdOption.SET_META_CONTEXT;
      if (select) this.#allocationOf = found.name;
      replies.writeMetaContext(this.#host.output, option, select ? BASE_ALLOCATION_ID : 0, BASE_ALLOCATION);
    }
    this.#reply(option, OptionReply.ACK);
    return "continue";
  }

  #mustFind(name: string): NbdExport {
    const found = this.#find(name);
    if (found === undefined) throw new OptionError(OptionReply.ERR_UNKNOWN, "no export has this name");
    return found;
  }

  #find(name: string): NbdExport | undefined {
    const found = this.#host.exports.find(name);
    if (found !== undefined) checkExport(found);
    return found;
  }

  #agreement(found: NbdExport, blockSizesAgreed: boolean): Agreement {
    return {
      export: found,
      structuredReplies: this.#structuredReplies,
      allocationContext: this.#structuredReplies && this.#allocationOf === found.name,
      blockSizesAgreed,
    };
  }
}
