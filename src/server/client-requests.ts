import {
  AckStatus,
  beginListing,
  beginPages,
  type Capacity,
  type FrameReader,
  FrameType,
  LIST_END,
  META_BYTES,
  PAGE_ID_BYTES,
  PAGES_PER_FRAME_MAX,
  PageStatus,
  PeerError,
  putCapacityFrame,
  WireError,
} from "../../proto/peer/index.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { AckBatch } from "./ack-batch.ts";
import type { FrameStore } from "./frame-store.ts";
import { PageIntake } from "./page-intake.ts";
import { newPageMeta, writeMeta } from "./page-meta.ts";
import type { ServerCounters } from "./server-counters.ts";

/** What requests need of their server. */
export interface RequestHost {
  readonly store: FrameStore;
  readonly counters: ServerCounters;
  readonly capacity: Capacity;
  /** False: all connections together hold so many answers that one which has some of its own must wait. */
  readonly answersWelcome: boolean;
  /** False: there is no memory left for the longest answer. */
  readonly answerFits: boolean;
  /** Bytes of answers queued on one connection before its requests are left unread. */
  readonly queueBytesSoft: number;
  /** Frames examined for one connection's LIST until its answers go out. */
  readonly listScanFramesMax: number;
}

/** The requests that come over one connection of a client, and their answers. */
export class ClientRequests {
  readonly #host: RequestHost;
  readonly #out: OutQueue;
  readonly #owner: number;
  readonly #intake: PageIntake;
  readonly #acks = new AckBatch();
  readonly #listEntriesMax: number;
  readonly #frames = new Int32Array(PAGES_PER_FRAME_MAX);
  readonly #meta = newPageMeta();
  #scanBudget: number;

  /** For the client with index `owner`, which takes `pagesPerFrame` entries in a frame. */
  constructor(host: RequestHost, out: OutQueue, owner: number, pagesPerFrame: number) {
    this.#host = host;
    this.#scanBudget = host.listScanFramesMax;
    this.#out = out;
    this.#owner = owner;
    this.#intake = new PageIntake(host.store, owner);
    this.#listEntriesMax = Math.min(PAGES_PER_FRAME_MAX, pagesPerFrame);
  }

  /** Whether the request may be taken now; false: when answers have gone out. */
  admits(reader: FrameReader): boolean {
    if (reader.type === FrameType.INVALIDATE) return true;
    const queued = this.#out.queuedBytes;
    return queued === 0 || (queued <= this.#host.queueBytesSoft && this.#host.answersWelcome);
  }

  /** A PUTPAGE begins. */
  beginPut(): void {
    this.#intake.begin();
  }

  /** Bytes of a PUTPAGE's pages, as FrameHandler.page has them. */
  page(body: DataView, index: number, bytes: Uint8Array, start: number, end: number, position: number): void {
    this.#intake.take(body, index, bytes, start, end, position);
  }

  /** Whole pages of a PUTPAGE, as FrameHandler.pages has them. */
  pages(body: DataView, index: number, count: number, bytes: Uint8Array, start: number): void {
    this.#intake.takeWhole(body, index, count, bytes, start);
  }

  /** The request is there whole: does it. True if `flush` is wanted at the end of the turn. */
  end(reader: FrameReader): boolean {
    switch (reader.type) {
      case FrameType.PUTPAGE:
        this.#acknowledge(reader.seq);
        return true;
      case FrameType.GETPAGE:
        this.#get(reader);
        return false;
      case FrameType.INVALIDATE:
        this.#invalidate(reader);
        return false;
      case FrameType.LIST:
        this.#list(reader.aux);
        return true;
      default:
        putCapacityFrame(this.#out, FrameType.PONG, this.#host.capacity, reader.seq);
        return false;
    }
  }

  /** End of the turn: what was batched up is encoded. */
  flush(): void {
    this.#scanBudget = this.#host.listScanFramesMax;
    this.#acks.writeTo(this.#out, this.#host.capacity);
  }

  /** The connection is over: a page that was under way leaves no trace. */
  abort(): void {
    this.#intake.abort();
  }

  #acknowledge(seq: number): void {
    const { accepted, full } = this.#intake;
    this.#host.counters.puts += accepted;
    if (full) this.#host.counters.fullRefusals += 1;
    if (this.#acks.full) this.#acks.writeTo(this.#out, this.#host.capacity);
    this.#acks.add(seq, accepted, full ? AckStatus.FULL : AckStatus.OK);
  }

  #get(reader: FrameReader): void {
    // Checked before: an answer that breaks off in its middle could not even be followed by an ERROR.
    if (!this.#host.answerFits) throw noRoomForAnswers();
    const { counters } = this.#host;
    let found = 0;
    for (let i = 0; i < reader.count; i += 1) {
      const frame = this.#find(reader.body, i);
      this.#frames[i] = frame;
      if (frame >= 0) found += 1;
    }
    counters.gets += found;
    counters.missing += reader.count - found;
    this.#writePages(reader, found);
  }

  /** The frame of the `i`-th page id in a body, or -1. */
  #find(body: DataView, i: number): number {
    const at = i * PAGE_ID_BYTES;
    return this.#host.store.find(this.#owner, body.getUint32(at, true), body.getUint32(at + 4, true));
  }

  #writePages(reader: FrameReader, found: number): void {
    const { store } = this.#host;
    const { body, count, seq } = reader;
    const out = this.#out;
    const meta = this.#meta;
    let at = beginPages(out, count, found, seq);
    for (let i = 0; i < count; i += 1, at += META_BYTES) {
      if (store.describe(this.#frames[i]!, this.#owner, meta)) {
        writeMeta(out.view, at, meta, PageStatus.OK);
        continue;
      }
      meta.idLow = body.getUint32(i * PAGE_ID_BYTES, true);
      meta.idHigh = body.getUint32(i * PAGE_ID_BYTES + 4, true);
      meta.slotLow = 0;
      meta.slotHigh = 0;
      meta.checksum = 0;
      writeMeta(out.view, at, meta, PageStatus.MISSING);
    }
    this.#appendPages(count);
  }

  /** Appends the bytes of the first `count` of `#frames`, those that are; neighbours in memory with one copy. */
  #appendPages(count: number): void {
    const { store } = this.#host;
    const out = this.#out;
    for (let i = 0; i < count; ) {
      const first = this.#frames[i]!;
      if (first < 0) {
        i += 1;
        continue;
      }
      const most = Math.min(
        count - i,
        store.neighbours(first),
        Math.max(1, Math.floor(out.room / PAGE_BYTES)),
      );
      let run = 1;
      while (run < most && this.#frames[i + run] === first + run) run += 1;
      const to = out.reserve(run * PAGE_BYTES);
      store.read(first, run, out.bytes, to);
      i += run;
    }
  }

  #invalidate(reader: FrameReader): void {
    const { store, counters } = this.#host;
    // Backwards: the free list gives the last first, so pages that were neighbours leave frames that are taken again
    // in rising order, and the next batch can be copied in one piece.
    for (let i = reader.count - 1; i >= 0; i -= 1) {
      const frame = this.#find(reader.body, i);
      if (frame >= 0) {
        store.drop(frame);
        counters.invalidates += 1;
      } else counters.invalidatesUnknown += 1;
    }
  }

  /**
   * Lists from frame `cursor` on. What is examined for one connection until its answers go out is bounded; beyond it
   * the answer is empty and its cursor the one that was asked for.
   */
  #list(cursor: number): void {
    const { store } = this.#host;
    const end = store.scanEnd;
    let entries = 0;
    let frame = cursor;
    for (; frame < end && entries < this.#listEntriesMax && this.#scanBudget > 0; frame += 1) {
      this.#scanBudget -= 1;
      if (!store.describe(frame, this.#owner, this.#meta)) continue;
      this.#frames[entries] = frame;
      entries += 1;
    }
    let at = beginListing(this.#out, entries, frame < end ? frame : LIST_END);
    for (let i = 0; i < entries; i += 1, at += META_BYTES) {
      store.describe(this.#frames[i]!, this.#owner, this.#meta);
      writeMeta(this.#out.view, at, this.#meta, PageStatus.OK);
    }
  }
}

export const noRoomForAnswers = (): PeerError =>
  new PeerError(WireError.TOO_MANY_CONNECTIONS, "all memory for answers is in use by other connections");
