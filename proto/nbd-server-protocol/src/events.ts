import type { NbdErrno } from "./constants.ts";
import type { NbdSessionError } from "./errors.ts";
import type { NbdExport } from "./export.ts";

/** What a session tells about itself, for a log. Nothing is told of requests that are not refused. */
export type NbdEvent =
  /** An option was answered; `reply` is the kind of the final reply. */
  | { readonly kind: "option"; readonly option: number; readonly reply: number }
  /** Transmission begins. */
  | {
      readonly kind: "transmission";
      readonly export: NbdExport;
      readonly structuredReplies: boolean;
      readonly allocationContext: boolean;
    }
  /** A request was refused by the session itself. */
  | {
      readonly kind: "refused";
      readonly command: number;
      readonly flags: number;
      readonly offset: number;
      readonly length: number;
      readonly error: NbdErrno;
      readonly message: string;
    }
  /** The session ended; `reason` is undefined if the client asked for it. */
  | { readonly kind: "closed"; readonly reason: NbdSessionError | undefined };
