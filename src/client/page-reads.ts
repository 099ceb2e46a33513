import { highWord, lowWord } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import type { Notice } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import { type Redundancy, Rescue } from "../redundancy/redundancy.ts";
import { Place, type SlotMap } from "../slots/slot-map.ts";
import type { ClientCounters } from "./counters.ts";
import { FrameQueue } from "./frame-queue.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";
import { HedgedReads } from "./hedged-reads.ts";
import type { LinkSet } from "./link-set.ts";
import { PageResult } from "./page-waiter.ts";
import type { Patience } from "./patience.ts";
import type { PendingWrites } from "./pending-writes.ts";

/** A page that comes back wrong, or not at all, from a server that should have it is asked for so often. */
const READ_ATTEMPTS = 3;
/** … where it can be had in two ways: from its server and from others. */
const READ_ATTEMPTS_BOTH_WAYS = 6;
/** Tries of a read that others could not make: its own server is asked next, and others by hedging alone. */
const AFTER_OTHERS = 2;

export interface PageReadsOptions {
  arena: Arena;
  frames: FrameTable;
  slots: SlotMap;
  table: IpTable;
  pending: PendingWrites;
  links: LinkSet;
  redundancy: () => Redundancy;
  patience: Patience;
  counters: ClientCounters;
  hedgesMax: number;
  /** The slot's page is provably lost. */
  lose: (slot: number, why: string) => void;
  notice: Notice;
}

/**
 * Reads of pages: from a write under way, from the map, from the page's server, or, where that is not to be had, made
 * from the rest of its group. What cannot be had now waits and is looked up anew when something has changed.
 */
export class PageReads {
  readonly #options: PageReadsOptions;
  readonly #frames: FrameTable;
  readonly #slots: SlotMap;
  readonly #waiting: FrameQueue;
  /** Those that others could not make: they are not to be asked again for each page that they could make. */
  readonly #missed: FrameQueue;
  readonly #hedges: HedgedReads;
  #lookAgain = false;
  #roomMade = false;

  constructor(options: PageReadsOptions) {
    this.#hedges = new HedgedReads(options);
    this.#options = options;
    this.#frames = options.frames;
    this.#slots = options.slots;
    this.#waiting = new FrameQueue(options.frames);
    this.#missed = new FrameQueue(options.frames);
  }

  /** Reads that wait. */
  get waiting(): number {
    return this.#waiting.length + this.#missed.length;
  }

  /** Reads the frame's slot into the frame and tells its waiter, at once if no server is needed. */
  read(frame: number): void {
    const { arena, pending, counters } = this.#options;
    const slot = this.#frames.slot[frame]!;
    const at = this.#frames.address(frame);
    const newest = pending.newest(slot);
    const place = this.#slots.place(slot);
    if (newest !== NO_FRAME) arena.copy(at, this.#frames.address(newest), PAGE_BYTES);
    else if (place === Place.UNMAPPED) arena.fill(at, 0, PAGE_BYTES);
    else if (place === Place.SAME_FILLED) {
      arena.fillPattern(at, this.#slots.wordLow(slot), this.#slots.wordHigh(slot), PAGE_BYTES);
    } else if (place === Place.LOST || place === Place.LOST_UNREAD) {
      if (place === Place.LOST_UNREAD) this.#options.lose(slot, "its server is gone");
      return this.#done(frame, PageResult.LOST);
    } else return this.#readHeld(frame, slot);
    counters.localIn += 1;
    this.#done(frame, PageResult.OK);
  }

  #readHeld(frame: number, slot: number): void {
    const holder = this.#options.table.at(this.#slots.place(slot) - Place.FIRST_HOLDER);
    this.#frames.pageId[frame] = this.#slots.pageId(slot);
    this.#frames.checksum[frame] = this.#slots.checksum(slot);
    const link = this.#options.links.of(holder);
    const { mode } = this.#options.redundancy();
    const isDirect = this.#frames.attempts[frame]! % 2 === 0 || mode === "none";
    if (link === undefined || !isDirect) return this.#rescue(frame, slot, holder);
    // Whoever says nothing at all is not waited for once more: others are asked first.
    const mayAskOthers = mode !== "none" && this.#frames.attempts[frame] === 0;
    const othersFirst = mayAskOthers && this.#options.patience.isSilent(holder, link);
    const outcome = othersFirst ? this.#askOthers(frame, slot, holder) : Rescue.LATER;
    if (outcome === Rescue.DONE) this.#done(frame, PageResult.OK);
    else if (outcome !== Rescue.UNDER_WAY) link.getPage(frame);
  }

  #askOthers(frame: number, slot: number, holder: Holder): Rescue {
    const outcome = this.#options.redundancy().rescue(slot, frame, holder);
    const isRescued = outcome === Rescue.UNDER_WAY || outcome === Rescue.DONE;
    if (isRescued) this.#options.counters.pagesRescued += 1;
    return outcome;
  }

  /** Its holder cannot or should not be asked. */
  #rescue(frame: number, slot: number, holder: Holder): void {
    const outcome = this.#askOthers(frame, slot, holder);
    if (outcome === Rescue.DONE) this.#done(frame, PageResult.OK);
    else if (outcome === Rescue.NEVER) {
      this.#options.lose(slot, `its server "${holder.name}" ${holder.fate}`);
      this.#done(frame, PageResult.LOST);
    } else if (outcome === Rescue.LATER) {
      // Wrong where it should be, and not to be made now: the next try is at its holder again.
      if (this.#options.links.of(holder) !== undefined) this.#frames.attempts[frame]! += 1;
      this.#waiting.push(frame);
    }
  }

  #done(frame: number, result: PageResult): void {
    this.#frames.waiter[frame]!.pageDone(frame, result);
  }

  /** Something has changed for reads that wait: they are looked up anew at the end of the turn. */
  lookAgain(): void {
    this.#lookAgain = true;
  }

  /** Looks for reads that a server is slow to answer. */
  checkLate(): void {
    this.#hedges.check();
  }

  /** End of a turn. */
  flush(): void {
    if (!this.#lookAgain && !this.#roomMade) return;
    while (this.#lookAgain && this.#missed.length > 0) this.#waiting.push(this.#missed.shift());
    this.#lookAgain = false;
    this.#roomMade = false;
    for (let left = this.#waiting.length; left > 0; left -= 1) this.read(this.#waiting.shift());
  }

  /** The link that the read was under way on has ended: it is looked up anew at the end of the turn. */
  postpone(frame: number): void {
    if (this.#hedges.isLeft(frame)) return this.#done(frame, PageResult.OK);
    const waiter = this.#frames.waiter[frame]!;
    if (waiter.pageUnread !== undefined) return waiter.pageUnread(frame, false);
    this.#waiting.push(frame);
    this.#lookAgain = true;
  }

  /** The client has made the page in the frame, or could not for now. */
  made(frame: number, isRight: boolean): void {
    // Those that found no room to be made may find it now.
    this.#roomMade = true;
    if (isRight) this.#done(frame, PageResult.OK);
    else this.#missed.push(frame);
  }

  /** Bytes have come for the frame, from its holder or made by others. */
  arrived(frame: number, from: Holder): void {
    if (this.#hedges.isLeft(frame)) return this.#done(frame, PageResult.OK);
    // Those that found no room to be asked for may find it now.
    if (from.role === "parity") this.#roomMade = true;
    const { arena, counters } = this.#options;
    const id = this.#frames.pageId[frame]!;
    const sum = arena.pageChecksum(this.#frames.address(frame), lowWord(id), highWord(id));
    if (sum === this.#frames.checksum[frame]) {
      counters.pagesIn += 1;
      return this.#done(frame, PageResult.OK);
    }
    counters.checksumErrors += 1;
    this.#notAsSent(frame, from, false);
  }

  /** Nothing came for the frame: its holder does not have it, or it could not be made. */
  missing(frame: number, from: Holder): void {
    if (this.#hedges.isLeft(frame)) return this.#done(frame, PageResult.OK);
    const isFetched = this.#frames.waiter[frame]!.pageUnread !== undefined;
    if (from.role !== "parity" || isFetched) return this.#notAsSent(frame, from, true);
    // Others were away or changed meanwhile.
    const { attempts } = this.#frames;
    const isFirst = attempts[frame] === 0;
    if (isFirst) attempts[frame] = AFTER_OTHERS;
    // Its server gave something else before, and is asked again when something has changed.
    else if (attempts[frame]! % 2 === 1) attempts[frame]! += 1;
    if (isFirst && this.#isHolderLinked(this.#frames.slot[frame]!)) this.read(frame);
    else this.#missed.push(frame);
  }

  #notAsSent(frame: number, from: Holder, isMissing: boolean): void {
    const waiter = this.#frames.waiter[frame]!;
    if (waiter.pageUnread !== undefined) return waiter.pageUnread(frame, isMissing);
    const slot = this.#frames.slot[frame]!;
    const pageId = this.#frames.pageId[frame]!;
    const redundancy = this.#options.redundancy();
    const attemptsMax = redundancy.mode === "none" ? READ_ATTEMPTS : READ_ATTEMPTS_BOTH_WAYS;
    const isCopy = redundancy.isCopy(slot, pageId, from);
    // Overwritten or trimmed since it was asked for, or moved.
    if (!isCopy && !this.#stillMeans(slot, pageId)) return this.#readAnew(frame);
    const why = isMissing ? `"${from.name}" does not hold it any more` : "its bytes are not what was written";
    if (!from.suspect) this.#options.notice("a server is suspect", { name: from.name, slot, why }, "warn");
    from.suspect = true;
    if (isMissing && redundancy.pageMissing(slot, pageId, from)) return this.#readAnew(frame);
    if (isCopy) {
      redundancy.pageWrong(slot, pageId);
      return this.#copyWrong(frame, slot, attemptsMax);
    }
    this.#frames.attempts[frame]! += 1;
    const isHopeless =
      this.#frames.attempts[frame]! >= attemptsMax || (isMissing && redundancy.mode === "none");
    // What others may still make up for is waited for, however often its server gives something else.
    if (isHopeless && !redundancy.hasOthers(slot)) this.#options.lose(slot, why);
    else redundancy.pageWrong(slot, pageId);
    this.read(frame);
  }

  /** What the slot means now, or where it is now, is another thing than what was asked for. */
  #readAnew(frame: number): void {
    this.#frames.attempts[frame] = 0;
    this.read(frame);
  }

  /** The copy of what the slot means is not that. */
  #copyWrong(frame: number, slot: number, attemptsMax: number): void {
    const { attempts } = this.#frames;
    const wasItself = attempts[frame]! % 2 === 1;
    if (attempts[frame]! < attemptsMax) {
      attempts[frame]! += 1;
      return this.read(frame);
    }
    if ((wasItself && this.#isHolderLinked(slot)) || this.#holderOf(slot)?.state === "dead") {
      this.#options.lose(slot, "neither its server nor that of its copy has what was written");
      return this.#done(frame, PageResult.LOST);
    }
    // The copy is of no use, but the page itself may come back.
    attempts[frame] = 0;
    this.#missed.push(frame);
  }

  /** Where the slot's page is, if it is anywhere. */
  #holderOf(slot: number): Holder | undefined {
    const place = this.#slots.place(slot);
    return place >= Place.FIRST_HOLDER ? this.#options.table.at(place - Place.FIRST_HOLDER) : undefined;
  }

  #isHolderLinked(slot: number): boolean {
    const holder = this.#holderOf(slot);
    return holder !== undefined && this.#options.links.of(holder) !== undefined;
  }

  #stillMeans(slot: number, pageId: number): boolean {
    return this.#slots.place(slot) >= Place.FIRST_HOLDER && this.#slots.pageId(slot) === pageId;
  }
}
