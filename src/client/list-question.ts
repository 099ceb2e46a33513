import { HEADER_BYTES, LIST_END, putList } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";

/** A link's question for all that the server holds, asked piece by piece. */
export class ListQuestion {
  readonly #out: OutQueue;
  #isOpen = false;
  /** Cursor of the piece to be asked for at the end of the turn. */
  #from: number | undefined;

  constructor(out: OutQueue) {
    this.#out = out;
  }

  /** True from when it is to be asked until the last piece has come. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** True while an answer is owed. */
  get isOwed(): boolean {
    return this.#isOpen && this.#from === undefined;
  }

  /** True if there is something to be asked now, and room for it. */
  get isReady(): boolean {
    return this.#from !== undefined && this.#out.fits(HEADER_BYTES);
  }

  begin(): void {
    this.#isOpen = true;
    this.#from = 0;
  }

  /** Asks for the next piece. */
  send(): void {
    putList(this.#out, this.#from!);
    this.#from = undefined;
  }

  /** A piece has come; returns true if it was the last one. */
  answered(next: number): boolean {
    this.#isOpen = next !== LIST_END;
    if (this.#isOpen) this.#from = next;
    return !this.#isOpen;
  }
}
