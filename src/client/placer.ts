import { NswapError } from "../base/errors.ts";
import type { Holder } from "../placement/holder.ts";
import { type IpTable, STRIPE_PAGES } from "../placement/ip-table.ts";
import type { Redundancy } from "../redundancy/redundancy.ts";
import { FrameQueue } from "./frame-queue.ts";
import type { FrameTable } from "./frame-table.ts";
import type { LinkSet } from "./link-set.ts";
import type { Patience } from "./patience.ts";
import type { ServerLink } from "./server-link.ts";

/** Pages that go to a server at a time: those of the longest request the kernel usually sends. */
const PUT_PAGES = 32;

export interface PlacerParts {
  frames: FrameTable;
  table: IpTable;
  links: LinkSet;
  redundancy: () => Redundancy;
  patience: Patience;
  /** The frame's write was overtaken by a newer one before it was sent. */
  overtaken: (frame: number) => void;
  /** The link cannot go on. */
  drop: (link: ServerLink, error: Error) => void;
}

/** The pages that are to be placed, in order, and how they find their servers. */
export class Placer {
  readonly #queue: FrameQueue;
  readonly #parts: PlacerParts;
  /** A server that does not read, or is slow, or whose link is ending, holds up no page: others are looked at. */
  readonly #takesPages = (holder: Holder): boolean => {
    const link = this.#parts.links.of(holder);
    if (link?.up !== true || !link.hasRoom) return false;
    return !this.#parts.patience.isSilent(holder, link);
  };

  constructor(parts: PlacerParts) {
    this.#parts = parts;
    this.#queue = new FrameQueue(parts.frames);
  }

  /** Pages that wait. */
  get length(): number {
    return this.#queue.length;
  }

  push(frame: number): void {
    this.#queue.push(frame);
  }

  /** Hands pages to links, as many as these take. */
  place(nowMs: number): void {
    const { frames, table, links, overtaken } = this.#parts;
    const redundancy = this.#parts.redundancy();
    const queue = this.#queue;
    const most = redundancy.leadOf === undefined ? PUT_PAGES : STRIPE_PAGES;
    for (;;) {
      while (queue.length > 0 && frames.stale[queue.head] === 1) overtaken(queue.shift());
      if (queue.length === 0 || !redundancy.hasRoom) return;
      const holder = table.choose(this.#takesPages, redundancy.leadOf);
      const link = holder === undefined ? undefined : links.of(holder);
      if (holder === undefined || link === undefined) return;
      const count = Math.min(queue.length, most, link.pagesMax, Math.max(1, holder.freeEstimate));
      this.#put(link, holder, count, nowMs);
    }
  }

  #put(link: ServerLink, holder: Holder, count: number, nowMs: number): void {
    const { next, placedOn } = this.#parts.frames;
    let frame = this.#queue.head;
    for (let i = 0; i < count; i += 1, frame = next[frame]!) placedOn[frame] = holder.index;
    holder.unackedPages += count;
    try {
      link.putPages(this.#queue, count, nowMs);
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      this.#parts.drop(link, error);
    }
  }
}
