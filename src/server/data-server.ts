import type { OutQueue } from "../base/out-queue.ts";
import type { ServerConnection } from "./server-connection.ts";

/** A core behind a data port: a memory server or a parity server. */
export interface DataServer {
  /**
   * A transport has come; answers go to `out`. `onClosed` is called once if the connection is closed from this side:
   * what is queued is to be sent, then the transport closed.
   */
  connect(out: OutQueue, onClosed?: () => void): ServerConnection;
  /** End of a turn: what was batched up is encoded. */
  flush(): void;
  /** Time has come to `nowMs`; several times a second. */
  tick(nowMs: number): void;
}
