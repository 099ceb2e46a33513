import { beginInvalidate, INVALIDATE_PAGES_MAX, PAGE_ID_BYTES, putWide } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";

/** Page ids that a server is to drop, gathered for as few INVALIDATEs as possible. */
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

  /** Encodes what there is; leaves it where it is while there is no room. */
  flush(): void {
    if (this.#count === 0 || !this.#hasRoom()) return;
    let at = beginInvalidate(this.#out, this.#count);
    for (let i = 0; i < this.#count; i += 1) {
      putWide(this.#out.view, at, this.#ids[i]!);
      at += PAGE_ID_BYTES;
    }
    this.#count = 0;
  }
}
