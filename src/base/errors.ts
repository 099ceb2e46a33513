/** What went wrong, for programs; the message says it for people. */
export type NswapErrorCode =
  | "BAD_OPTION"
  | "ADDRESS_REFUSED"
  | "ADDRESS_IN_USE"
  | "KEY_UNUSABLE"
  | "AUTHENTICATION_FAILED"
  | "PEER_PROTOCOL"
  | "PEER_REFUSED"
  | "PEER_SILENT"
  | "PEER_CLOSED"
  | "CONNECTION_FAILED"
  | "LIMIT_REACHED"
  | "OUT_OF_MEMORY"
  | "INTERNAL";

/** An error of nswap's own: `code` for programs, `retry` whether the same call may succeed later. */
export class NswapError extends Error {
  readonly code: NswapErrorCode;
  readonly retry: boolean;

  constructor(code: NswapErrorCode, message: string, options: { cause?: unknown; retry?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "NswapError";
    this.code = code;
    this.retry = options.retry ?? false;
  }
}
