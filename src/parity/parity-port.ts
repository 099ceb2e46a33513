import type { ServerLink } from "../client/server-link.ts";

/** What a parity server's core asks of its driver. Identities are 32 hexadecimal digits. */
export interface ParityPort {
  /**
   * Pages of this client are to be moved to or from this memory server: connect to it and call `openLink`, or say
   * `unreachable`. Called from `flush` only; said once for each attempt.
   */
  wanted(client: string, server: string): void;
  /** The core has given the link up, or needs it no more: end its connection. `linkEnded` may follow. */
  linkClosed(link: ServerLink): void;
}
