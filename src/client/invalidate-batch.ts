import { beginInvalidate, INVALIDATE_PAGES_MAX, PAGE_ID_BYTES, putWide } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";

/** So many are worth a message of their own. */
const EAGER_IDS = 128;

/**
 * Page ids that a server is to drop, gathered for as few INVALIDATEs as possible: each message wakes a process, and
 * nobody waits for these. They go with the next message, or when they are many or a tick old.
 */
export class InvalidateBatch {
  /** True if some found no room: a list of what the server holds finds what it holds in vain. */
  dropped = false;
  readonly #out: OutQueue;
  readonly #hasRoom: () => boolean;
  readonly #ids = new Float64Array(INVALIDATE_PAGES_MAX);
  #count = 0;

  constructor(out: OutQueue, hasRoom: () => boolean) {
    this.#out = out;
    this.#hasRoom = hasRoom;
  }

  add(pageId: number): void {
    if (this.#count === INVALIDATE_PAGES_MAX) this.flush();
    if (this.#count === INVALIDATE_PAGES_MAX) {
      this.dropped = true;
      return;
    }
    this.#ids[this.#count] = pageId;
    this.#count += 1;
  }

  /**
   * Encodes what there is: if it is much, or something else is sent, or it is to go even alone. Leaves it where it is
   * while there is no room.
   */
  flush(evenAlone = true): void {
    if (this.#count === 0 || !this.#hasRoom()) return;
    if (!evenAlone && this.#count < EAGER_IDS && this.#out.queuedBytes === 0) return;
    let at = beginInvalidate(this.#out, this.#count);
    for (let i = 0; i < this.#count; i += 1) {
      putWide(this.#out.view, at, this.#ids[i]!);
      at += PAGE_ID_BYTES;
    }
    this.#count = 0;
  }
}
