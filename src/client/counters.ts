import { Traffic } from "../base/traffic.ts";

/** What a client has done since it started; plain numbers, read by observers. */
export class ClientCounters {
  /** Pages sent to memory servers and acknowledged. */
  pagesOut = 0;
  /** Pages read from memory servers. */
  pagesIn = 0;
  /** Pages written that are one word repeated, and so were not sent. */
  sameFilledOut = 0;
  /** Pages read that needed no server. */
  localIn = 0;
  /** Pages sent again because a server was full or its link ended. */
  placedAgain = 0;
  /** Pages whose bytes were not what was sent. */
  checksumErrors = 0;
  /** Pages that were read from elsewhere than their server. */
  pagesRescued = 0;
  /** Reads that a slow server was not waited for with. */
  readsHedged = 0;
  /** Writes that a silent server was not waited for with. */
  writesHedged = 0;
  /** Pages found provably lost. */
  pagesLost = 0;
  /** Requests answered with an error. */
  requestErrors = 0;
  requestsDone = 0;
  linksLost = 0;
  serversLost = 0;
  /** All that was given to the links of memory servers and parity servers to be sent. */
  readonly sent = new Traffic();
}
