/** Why a session ended other than by the client's ABORT or DISC. */
export type NbdSessionErrorCode =
  /** The client set a flag that the server did not offer. */
  | "bad-client-flags"
  /** An option did not start with its magic number. */
  | "bad-option-magic"
  /** An option announced more data than is read. */
  | "option-too-long"
  /** More options than one negotiation may have. */
  | "too-many-options"
  /** An option other than EXPORT_NAME from a client that does not speak fixed newstyle. */
  | "not-fixed-newstyle"
  /** EXPORT_NAME asked for an export that does not exist, or whose name is malformed. */
  | "unknown-export"
  /** EXPORT_NAME before TLS where TLS is required. */
  | "tls-required"
  /** EXPORT_NAME while the server is stopping. */
  | "shut-down"
  /** A request did not start with its magic number. */
  | "bad-request-magic"
  /** A WRITE announced more payload than is read. */
  | "write-too-long"
  /** The transport ended without ABORT or DISC. */
  | "connection-lost"
  /** The application ended the session. */
  | "closed-by-server";

/** The reason a session ended. Not worth a retry on the same connection: the session is closed. */
export class NbdSessionError extends Error {
  override readonly name = "NbdSessionError";
  readonly code: NbdSessionErrorCode;

  constructor(code: NbdSessionErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The application used this package wrongly: a bug in the caller, never something a client can provoke. */
export class NbdUsageError extends Error {
  override readonly name = "NbdUsageError";
  readonly code = "nbd-usage";
}
