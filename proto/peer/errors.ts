import type { WireError } from "./wire.ts";

/** The other side broke the page protocol, or said why it refuses us. The connection is over. */
export class PeerError extends Error {
  /** What is (or was) sent in an ERROR frame. */
  readonly wireCode: WireError;
  /** True if the other side sent it. */
  readonly remote: boolean;

  constructor(wireCode: WireError, message: string, remote = false) {
    super(message);
    this.name = "PeerError";
    this.wireCode = wireCode;
    this.remote = remote;
  }
}
