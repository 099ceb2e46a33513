import type { NbdErrno } from "./constants.ts";
import { NbdSessionError, NbdUsageError } from "./errors.ts";
import type { NbdEvent } from "./events.ts";
import type { NbdExport, NbdExports } from "./export.ts";
import type { NbdExtent, NbdExtents } from "./extents.ts";
import type { NbdHandler } from "./handler.ts";
import { Handshake } from "./handshake.ts";
import type { NbdTlsMode, SessionHost } from "./host.ts";
import { type NbdLimits, resolveLimits } from "./limits.ts";
import type { NbdOutput } from "./output.ts";
import type { NbdRequest } from "./request.ts";
import { Transmission } from "./transmission.ts";

/**
 * negotiating -> transmission -> disconnecting (DISC came, answers are outstanding) -> closed. A session only
 * moves to the right; it may pass through "starttls" while negotiating.
 */
export type NbdSessionState = "negotiating" | "starttls" | "transmission" | "disconnecting" | "closed";

export interface NbdSessionOptions {
  exports: NbdExports;
  handler: NbdHandler;
  output: NbdOutput;
  /** Default "none". */
  tls?: NbdTlsMode;
  /** Laid over NBD_LIMITS. */
  limits?: Partial<NbdLimits>;
  /** Told what happens, for a log. */
  emit?: (event: NbdEvent) => void;
}

/**
 * The server side of one NBD connection: bytes in by `receive`, bytes out through the output, requests to the
 * handler, answers by the reply methods. Nothing is called later: all that happens, happens inside a call.
 */
export class NbdServerSession {
  readonly #handler: NbdHandler;
  readonly #host: SessionHost;
  readonly #handshake: Handshake;
  #transmission: Transmission | undefined;
  #stopping = false;
  #closed = false;
  #closeReason: NbdSessionError | undefined;
  #receiving = false;

  /** @throws NbdUsageError for limits out of range. */
  constructor(options: NbdSessionOptions) {
    this.#handler = options.handler;
    const session = this;
    this.#host = {
      output: options.output,
      exports: options.exports,
      limits: resolveLimits(options.limits),
      tls: options.tls ?? "none",
      emit: options.emit,
      get stopping() {
        return session.#stopping;
      },
      close: (reason) => session.#close(reason),
    };
    this.#handshake = new Handshake(this.#host);
  }

  get state(): NbdSessionState {
    if (this.#closed) return "closed";
    if (this.#transmission !== undefined)
      return this.#transmission.leaving ? "disconnecting" : "transmission";
    return this.#handshake.waitsForTls ? "starttls" : "negotiating";
  }

  /**
   * True while no further request is read: the handler said "not now" (until `resume`), or
   * `limits.requestsInFlightMax` requests are unanswered (until one is answered).
   */
  get stalled(): boolean {
    return !this.#closed && this.#transmission !== undefined && this.#transmission.stalled;
  }

  /** Why the session ended; undefined while it lives, and if the client asked for the end. */
  get closeReason(): NbdSessionError | undefined {
    return this.#closeReason;
  }

  /** The export in use; undefined while negotiating. */
  get export(): NbdExport | undefined {
    return this.#transmission?.agreement.export;
  }

  /** True if reads, errors and block status are answered in structured replies. */
  get structuredReplies(): boolean {
    return this.#transmission?.agreement.structuredReplies ?? false;
  }

  /** True after `tlsEstablished`. */
  get tlsActive(): boolean {
    return this.#handshake.tlsActive;
  }

  /** Requests taken by the handler and not answered. */
  get inFlight(): number {
    return this.#closed ? 0 : (this.#transmission?.inFlight ?? 0);
  }

  /** Bytes still to come of the payload that is being read; 0 between requests. */
  get payloadLeft(): number {
    return this.#closed ? 0 : (this.#transmission?.payloadLeft ?? 0);
  }

  /** Sends the greeting. Called once, first. */
  start(): void {
    this.#handshake.greet();
  }

  /**
   * Takes bytes[start, end) from the client. Returns how many of them were consumed; fewer than given only if
   * the session is stalled, waits for TLS ("starttls"), was asked to disconnect, or is closed. What was not
   * consumed is given again after `resume` or an answer ended the stall; in "starttls" it belongs to the TLS
   * handshake; after DISC or the end it is nobody's.
   */
  receive(bytes: Uint8Array, start: number, end: number): number {
    if (this.#receiving) throw new NbdUsageError("receive() was called from inside receive()");
    this.#receiving = true;
    try {
      let at = start;
      if (this.#transmission === undefined && !this.#closed) {
        at = this.#handshake.receive(bytes, at, end);
        this.#enterTransmission();
      }
      if (this.#transmission !== undefined && !this.#closed) at = this.#transmission.receive(bytes, at, end);
      return at - start;
    } finally {
      this.#receiving = false;
    }
  }

  /**
   * The handler can take requests again: the one it did not take is offered at once. If `stalled` is false
   * afterwards, give `receive` the bytes that it left.
   */
  resume(): void {
    this.#transmission?.resume();
  }

  /**
   * The transport ended. Without ABORT or DISC before, that is "connection-lost". After DISC a client may close its
   * sending side alone, and wait for its answers: in state "disconnecting" that is not the end yet.
   */
  disconnected(): void {
    if (this.#closed) return;
    if (this.state === "disconnecting") this.#close(undefined);
    else this.#close(new NbdSessionError("connection-lost", `the connection ended in state "${this.state}"`));
  }

  /** TLS stands, and `receive` and the output carry what is inside it. Only in state "starttls". */
  tlsEstablished(): void {
    if (this.state !== "starttls") throw new NbdUsageError(`tlsEstablished() in state "${this.state}"`);
    this.#handshake.tlsEstablished();
  }

  /** The server is stopping: what is in flight is still answered by the handler, all further is refused. */
  shutDown(): void {
    this.#stopping = true;
  }

  /** Ends the session from this side, as when negotiating takes too long. `message` says why. */
  close(message: string): void {
    this.#close(new NbdSessionError("closed-by-server", message));
  }

  /** Success of a WRITE, FLUSH, TRIM, WRITE_ZEROES or CACHE. */
  replyOk(request: NbdRequest): void {
    this.#transmission?.replyOk(request);
  }

  /**
   * Failure of any request. `message` is for people and reaches them if structured replies are in use. ENOTSUP is for
   * a WRITE_ZEROES with FAST_ZERO only.
   * @throws NbdUsageError for a number that is none of NbdErrno.
   */
  replyError(request: NbdRequest, error: NbdErrno, message = ""): void {
    this.#transmission?.replyError(request, error, message);
  }

  /**
   * Success of a READ: puts the header, after which the caller appends exactly `request.length` bytes to the
   * output, before anything else is put there and before the next call of this session, and then calls
   * `endReadReply`. All of the data must be at hand: there is no way back. Returns false, having put
   * nothing, if the session is closed: append nothing then.
   */
  beginReadReply(request: NbdRequest): boolean {
    return this.#transmission?.beginReadReply(request) ?? false;
  }

  /** The data announced by `beginReadReply` is in the output. (Closes the session after DISC's last answer.) */
  endReadReply(): void {
    this.#transmission?.endReadReply();
  }

  /** Success of a READ with its data, request.length bytes, copied to the output. */
  replyRead(request: NbdRequest, data: Uint8Array): void {
    this.#transmission?.replyRead(request, data);
  }

  /** Success of a READ of nothing but zeroes; with structured replies they are not sent. */
  replyReadZeroes(request: NbdRequest): void {
    this.#transmission?.replyReadZeroes(request);
  }

  /**
   * Success of a BLOCK_STATUS: the extents from request.offset on. Neighbours with the same flags are merged,
   * what goes beyond the request is cut, and only the first is sent if the client asked for one. Fewer than
   * the whole range is allowed; none at all means "data" for all of it. If the export has a minimum block size,
   * extents must be multiples of it (but for one at the export's end): where a block is in parts, only flags that
   * hold for all of it may be told.
   */
  replyBlockStatus(request: NbdRequest, extents: NbdExtents | readonly NbdExtent[]): void {
    this.#transmission?.replyBlockStatus(request, extents);
  }

  #enterTransmission(): void {
    const { agreement } = this.#handshake;
    if (agreement === undefined || this.#closed) return;
    this.#transmission = new Transmission(this.#host, this.#handler, this, agreement);
    const { structuredReplies, allocationContext } = agreement;
    this.#host.emit?.({
      kind: "transmission",
      export: agreement.export,
      structuredReplies,
      allocationContext,
    });
  }

  #close(reason: NbdSessionError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeReason = reason;
    this.#handshake.abandon();
    const pending = this.#transmission?.abandon() ?? [];
    this.#host.emit?.({ kind: "closed", reason });
    this.#handler.closed(this, reason, pending);
  }
}
