import { invariant } from "../base/assert.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { FrameStore } from "./frame-store.ts";
import { newPageMeta, readMeta } from "./page-meta.ts";

/** Where the bytes of the page at hand go. */
enum Into {
  /** No page is under way. */
  Nothing = 0,
  /** A frame taken for it; published once whole. */
  Frame = 1,
  /** The page is held already: aside, so that the held one is replaced at once or not at all. */
  Aside = 2,
  /** There is no room: read and dropped. */
  Drop = 3,
}

/**
 * Takes the pages of one PUTPAGE at a time, as they stream in, into frames. Each page becomes visible at its last
 * byte. From the first page without room on, all are dropped, so that those held are a prefix.
 */
export class PageIntake {
  readonly #store: FrameStore;
  readonly #owner: number;
  readonly #meta = newPageMeta();
  #into: Into = Into.Nothing;
  #frame = -1;
  #aside: Uint8Array | undefined;
  #accepted = 0;
  #full = false;

  constructor(store: FrameStore, owner: number) {
    this.#store = store;
    this.#owner = owner;
  }

  /** Pages of the frame at hand that are held. */
  get accepted(): number {
    return this.#accepted;
  }

  /** True if a page of the frame at hand found no room. */
  get full(): boolean {
    return this.#full;
  }

  /** A PUTPAGE begins. */
  begin(): void {
    invariant(this.#into === Into.Nothing, "one PUTPAGE at a time");
    this.#accepted = 0;
    this.#full = false;
  }

  /** Bytes [start, end) are the `index`-th page's from `position` on; its meta entry is in `body`. */
  take(body: DataView, index: number, bytes: Uint8Array, start: number, end: number, position: number): void {
    if (position === 0) this.#beginPage(body, index);
    if (this.#into === Into.Frame) this.#store.write(this.#frame, position, bytes, start, end);
    else if (this.#into === Into.Aside) this.#aside!.set(bytes.subarray(start, end), position);
    if (position + (end - start) === PAGE_BYTES) this.#endPage();
  }

  /**
   * `count` whole pages, those of the entries from `index` on, lie at `start` of `bytes`. Those whose frames are
   * neighbours are copied together.
   */
  takeWhole(body: DataView, index: number, count: number, bytes: Uint8Array, start: number): void {
    for (let done = 0; done < count; ) {
      const run = this.#takeRun(body, index + done, count - done, bytes, start + done * PAGE_BYTES);
      done += run;
      if (run > 0) continue;
      const from = start + done * PAGE_BYTES;
      this.take(body, index + done, bytes, from, from + PAGE_BYTES, 0);
      done += 1;
    }
  }

  /** Takes neighbouring frames for as many of the pages as it can, fills and publishes them; returns how many. */
  #takeRun(body: DataView, index: number, count: number, bytes: Uint8Array, start: number): number {
    let run = 0;
    let first = -1;
    while (run < count && !this.#full) {
      readMeta(body, index + run, this.#meta);
      if (this.#store.find(this.#owner, this.#meta.idLow, this.#meta.idHigh) >= 0) break;
      const frame = this.#store.takeToPut();
      if (frame < 0) break;
      if (run === 0) first = frame;
      else if (frame !== first + run || run >= this.#store.neighbours(first)) {
        // No neighbour: it is the first to be taken for the next run.
        this.#store.giveBack(frame);
        break;
      }
      run += 1;
    }
    if (run === 0) return 0;
    this.#store.writeWhole(first, run, bytes, start);
    for (let i = 0; i < run; i += 1) {
      readMeta(body, index + i, this.#meta);
      this.#store.publish(first + i, this.#owner, this.#meta);
    }
    this.#accepted += run;
    return run;
  }

  #beginPage(body: DataView, index: number): void {
    this.#into = Into.Drop;
    if (this.#full) return;
    readMeta(body, index, this.#meta);
    if (this.#store.find(this.#owner, this.#meta.idLow, this.#meta.idHigh) >= 0) {
      this.#aside ??= new Uint8Array(PAGE_BYTES);
      this.#into = Into.Aside;
      return;
    }
    this.#frame = this.#store.takeToPut();
    if (this.#frame >= 0) this.#into = Into.Frame;
    else this.#full = true;
  }

  #endPage(): void {
    if (this.#into === Into.Aside) this.#endAside();
    else if (this.#into === Into.Frame) this.#publish();
    this.#into = Into.Nothing;
  }

  #publish(): void {
    this.#store.publish(this.#frame, this.#owner, this.#meta);
    this.#frame = -1;
    this.#accepted += 1;
  }

  #endAside(): void {
    const held = this.#store.find(this.#owner, this.#meta.idLow, this.#meta.idHigh);
    if (held >= 0) {
      this.#store.rewrite(held, this.#meta, this.#aside!, 0);
      this.#accepted += 1;
      return;
    }
    // Dropped meanwhile, over another connection of this client: it is a new page now.
    this.#frame = this.#store.takeToPut();
    if (this.#frame < 0) {
      this.#full = true;
      return;
    }
    this.#store.write(this.#frame, 0, this.#aside!, 0, PAGE_BYTES);
    this.#publish();
  }

  /** The connection is over: what is not whole leaves no trace. */
  abort(): void {
    if (this.#frame >= 0) this.#store.giveBack(this.#frame);
    this.#frame = -1;
    this.#into = Into.Nothing;
  }
}
