import { type PeerError, putError } from "../../proto/peer/index.ts";
import { NswapError } from "../base/errors.ts";
import type { OutQueue } from "../base/out-queue.ts";

/** ERROR, if there is room for it. */
export function putLastWord(out: OutQueue, error: PeerError): void {
  try {
    putError(out, error.wireCode, error.message);
  } catch (noRoom) {
    if (!(noRoom instanceof NswapError)) throw noRoom;
  }
}
