import type { NbdRequest } from "nbd-server-protocol";
import { NO_FRAME } from "./frame-table.ts";
import type { NbdConnection } from "./nbd-connection.ts";
import { PageResult, type PageWaiter } from "./page-waiter.ts";

/**
 * A request of an NBD client while its pages are read or written. Used again and again by its connection.
 * `remaining` counts the pages under way, plus one until all of them were started.
 */
export class ClientRequest implements PageWaiter {
  readonly connection: NbdConnection;
  /** Undefined once the NBD client is gone: the pages are seen through, nobody is answered. */
  nbd: NbdRequest | undefined;
  remaining = 0;
  failed = false;
  /** FUA: its pages are held, and wait until they are protected too. */
  protecting = false;
  /** Frames that admission has set aside for it. */
  admittedFrames = 0;
  /** Bytes of answer that admission has set aside for it. */
  admittedBytes = 0;
  /** READ: its frames, in order of slots. */
  firstFrame = NO_FRAME;
  lastFrame = NO_FRAME;
  /** WRITE: pages whose payload has not come whole yet. */
  payloadPages = 0;
  /** WRITE: the page that payload is coming in for, and where in the page it began. */
  openFrame = NO_FRAME;
  openFrom = 0;
  /** TRIM and WRITE_ZEROES: slots [nextSlot, endSlot) are still to be done. */
  nextSlot = 0;
  endSlot = 0;

  constructor(connection: NbdConnection) {
    this.connection = connection;
  }

  begin(nbd: NbdRequest): void {
    this.nbd = nbd;
    this.remaining = 1;
    this.failed = false;
    this.protecting = false;
    this.firstFrame = NO_FRAME;
    this.lastFrame = NO_FRAME;
    this.openFrame = NO_FRAME;
    this.payloadPages = 0;
    this.nextSlot = 0;
    this.endSlot = 0;
  }

  frameReplaced(frame: number, other: number): void {
    const { requestNext } = this.connection.frames;
    requestNext[other] = requestNext[frame]!;
    if (this.lastFrame === frame) this.lastFrame = other;
    if (this.firstFrame === frame) {
      this.firstFrame = other;
      return;
    }
    let before = this.firstFrame;
    while (requestNext[before] !== frame) before = requestNext[before]!;
    requestNext[before] = other;
  }

  pageDone(_frame: number, result: PageResult): void {
    if (result !== PageResult.OK) this.failed = true;
    this.settle();
  }

  /** One of `remaining` is done. */
  settle(): void {
    this.remaining -= 1;
    if (this.remaining === 0) this.connection.completed(this);
  }
}
