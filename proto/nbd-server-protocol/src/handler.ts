import type { NbdSessionError } from "./errors.ts";
import type { NbdRequest } from "./request.ts";
import type { NbdServerSession } from "./session.ts";

/** Who serves the requests. One handler may serve many sessions. None of the methods may throw. */
export interface NbdHandler {
  /**
   * A valid request: its range lies inside the export, its flags are allowed, the export is not read-only if
   * it writes. Return true to take it: it is then answered inside this call or at any later time, in any
   * order with others. Return false for "not now": the session stops consuming input, and offers the same
   * request again at `resume`.
   */
  request(request: NbdRequest): boolean;
  /**
   * A piece of a WRITE's payload: bytes[start, end) belong at request.offset + position. Pieces come in order;
   * the payload is complete when position + (end - start) === request.length. `bytes` is the caller's chunk:
   * copy what is to be kept. A WRITE is answered only after its payload is complete, except with an error:
   * then the session drops the rest of its payload, and answers after it.
   */
  payload(request: NbdRequest, bytes: Uint8Array, start: number, end: number, position: number): void;
  /**
   * The session ended, once. `reason` is undefined if the client asked for it (ABORT, DISC). `pending` are the
   * requests that were taken and not answered, among them a WRITE whose payload was cut: drop them. An answer
   * that still comes is ignored.
   */
  closed(
    session: NbdServerSession,
    reason: NbdSessionError | undefined,
    pending: readonly NbdRequest[],
  ): void;
}
