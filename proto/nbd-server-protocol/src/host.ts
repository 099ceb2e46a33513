import type { NbdSessionError } from "./errors.ts";
import type { NbdEvent } from "./events.ts";
import type { NbdExports } from "./export.ts";
import type { NbdLimits } from "./limits.ts";
import type { NbdOutput } from "./output.ts";

/** Whether TLS is refused, at the client's choice, or insisted upon. */
export type NbdTlsMode = "none" | "allowed" | "required";

/** What the phases of a session share with it. The session is the only one who changes any of it. */
export interface SessionHost {
  readonly output: NbdOutput;
  readonly exports: NbdExports;
  readonly limits: NbdLimits;
  readonly tls: NbdTlsMode;
  readonly emit: ((event: NbdEvent) => void) | undefined;
  /** The server is shutting down. */
  readonly stopping: boolean;
  /** Ends the session; without a reason if the client asked for it. */
  close(reason: NbdSessionError | undefined): void;
}
