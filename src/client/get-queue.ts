import { beginGetPage, PAGE_ID_BYTES, putWide } from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { FrameQueue } from "./frame-queue.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";

/** Frames whose pages a server is to be asked for, in as few GETPAGEs as possible. */
export class GetQueue {
  readonly #out: OutQueue;
  readonly #frames: FrameTable;
  readonly #queue: FrameQueue;

  constructor(out: OutQueue, frames: FrameTable) {
    this.#out = out;
    this.#frames = frames;
    this.#queue = new FrameQueue(frames);
  }

  get length(): number {
    return this.#queue.length;
  }

  get head(): number {
    return this.#queue.head;
  }

  push(frame: number): void {
    this.#queue.push(frame);
  }

  shift(): number {
    return this.#queue.shift();
  }

  /** Takes `count` frames out for the next GETPAGE, linked to each other; returns the first. */
  take(count: number): number {
    const { head } = this;
    let last = NO_FRAME;
    for (let left = count; left > 0; left -= 1) last = this.#queue.shift();
    this.#frames.next[last] = NO_FRAME;
    return head;
  }

  /** Encodes GETPAGE for `count` frames linked from `head`. Throws LIMIT_REACHED. */
  encode(seq: number, head: number, count: number): void {
    let at = beginGetPage(this.#out, count, seq);
    for (let frame = head; frame !== NO_FRAME; frame = this.#frames.next[frame]!) {
      putWide(this.#out.view, at, this.#frames.pageId[frame]!);
      at += PAGE_ID_BYTES;
    }
  }
}
