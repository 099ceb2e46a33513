import type { Capacity, Hello, Prover, Role } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import type { FrameTable } from "./frame-table.ts";
import type { ParityRequests } from "./parity-requests.ts";
import type { ServerLink } from "./server-link.ts";

/** What a link tells the core that owns it. */
export interface LinkPort {
  /** The server has welcomed us: it is `hello`, with these figures. */
  linkUp(link: ServerLink, hello: Hello, capacity: Capacity): void;
  capacity(link: ServerLink, capacity: Capacity): void;
  /** A request was answered after so long. */
  answered(link: ServerLink, latencyMs: number): void;
  pageHeld(link: ServerLink, frame: number): void;
  pageRefused(link: ServerLink, frame: number): void;
  /** The page's bytes are in the frame, unverified. */
  pageArrived(link: ServerLink, frame: number, sentWith: number): void;
  pageMissing(link: ServerLink, frame: number): void;
  /** The server holds this page for us (an entry of LISTING). */
  pageListed(link: ServerLink, pageId: number, slot: number): void;
  /** The server is asked for a list of what it holds; `isComplete`: the last of it has come. */
  listing?(link: ServerLink, isComplete: boolean): void;
  /** An operation of a parity server went so; `checksum` as RESULT has it. */
  operationDone?(index: number, status: number, checksum: number): void;
  /** A parity server found this page of a group, which may be the group's own, to be wrong. */
  mismatchFound?(link: ServerLink, group: number, groupId: number, pageId: number): void;
}

export interface LinkOptions {
  arena: Arena;
  frames: FrameTable;
  own: Hello;
  prover: Prover | undefined;
  port: LinkPort;
  /** Bytes queued for the server before pages wait in their frames instead. */
  queueBytesSoft: number;
  /** What the other side must be; a memory server if left out. */
  role?: Role;
  /** What only a parity server is told, and how many operations it may be asked for at a time. */
  parity?: { requests: ParityRequests; operationsMax: number };
}
