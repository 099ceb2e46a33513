import { CommandFlag } from "./constants.ts";
import type { NbdServerSession } from "./session.ts";

/**
 * Where a request is in its life: free -> offered -> taken -> free (or held in between, see NbdHandler). A WRITE that
 * fails before its payload has come is failing until then.
 */
export const RequestStatus = { FREE: 0, HELD: 1, TAKEN: 2, FAILING: 3 } as const;

/**
 * One request of a client. The session owns it and uses it again after it was answered: a handler keeps it
 * until then and no longer.
 */
export class NbdRequest {
  readonly session: NbdServerSession;
  /** One of NbdCommand, except DISC. */
  command = 0;
  /** Bits of CommandFlag, all of them valid for the command. */
  flags = 0;
  /** The client's name for the request, as two unsigned halves. */
  cookieHigh = 0;
  cookieLow = 0;
  /** Bytes from the start of the export. */
  offset = 0;
  /** Bytes; at least 1, except for FLUSH. */
  length = 0;
  /** The handler's own; undefined whenever a request is offered for the first time. */
  user: unknown = undefined;
  /** The session's own (one of RequestStatus); not for handlers. */
  status: number = RequestStatus.FREE;

  constructor(session: NbdServerSession) {
    this.session = session;
  }

  /** Answer only when the data is on stable storage. */
  get fua(): boolean {
    return (this.flags & CommandFlag.FUA) !== 0;
  }

  /** WRITE_ZEROES: keep the range allocated. */
  get noHole(): boolean {
    return (this.flags & CommandFlag.NO_HOLE) !== 0;
  }

  /** WRITE_ZEROES: answer ENOTSUP if this is not faster than writing. */
  get fastZero(): boolean {
    return (this.flags & CommandFlag.FAST_ZERO) !== 0;
  }

  /** BLOCK_STATUS: the first extent is enough. */
  get onlyOneExtent(): boolean {
    return (this.flags & CommandFlag.REQ_ONE) !== 0;
  }
}

/** The requests of one session. Grows to the most that were ever in use at once, then allocates no more. */
export class RequestPool {
  readonly #session: NbdServerSession;
  readonly #all: NbdRequest[] = [];
  readonly #free: NbdRequest[] = [];

  constructor(session: NbdServerSession) {
    this.#session = session;
  }

  acquire(): NbdRequest {
    const request = this.#free.pop();
    if (request !== undefined) return request;
    const fresh = new NbdRequest(this.#session);
    this.#all.push(fresh);
    return fresh;
  }

  release(request: NbdRequest): void {
    request.status = RequestStatus.FREE;
    request.user = undefined;
    this.#free.push(request);
  }

  /** Those that a handler has taken and not answered. */
  taken(): NbdRequest[] {
    return this.#all.filter((request) => request.status === RequestStatus.TAKEN);
  }
}
