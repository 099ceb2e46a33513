import type { FrameReader } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";
import type { RequestHost } from "./client-requests.ts";
import type { ClientRecord } from "./client-table.ts";

/** Requests of one connection beyond those of a memory server; its methods may throw PeerError to end it. */
export interface ExtraRequests {
  /** Whether frames of this type are for it. */
  takes(type: number): boolean;
  /** Whether the request may be taken now. False only while answers are still to come: after them it is asked again. */
  admits(reader: FrameReader): boolean;
  /** The request is there whole. */
  end(reader: FrameReader): void;
  /** End of a turn in which `touch` was called: writes the answers that are ready. */
  flush(): void;
  /** The connection is over: nothing is answered any more. */
  abort(): void;
}

/** What a memory server's core is extended by: the parity server's part. */
export interface ServerExtension {
  /** Frames of the store that are for it alone. */
  readonly reserveFrames: number;
  /** A client's connection is welcome. `touch` has `flush` called at the end of the turn. */
  connected(host: RequestHost, client: ClientRecord, out: OutQueue, touch: () => void): ExtraRequests;
  /** A store frame that held a page is about to be free. */
  released(frame: number): void;
}
