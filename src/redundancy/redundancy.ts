import type { Notice } from "../base/log.ts";
import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import type { GroupTable } from "./group-table.ts";
import type { Operation } from "./operation.ts";

export type RedundancyMode = "none" | "mirror" | "parity";

/** What can be done for a read whose holder does not answer. */
export const Rescue = {
  /** The page is being read or computed from others: the frame is told. */
  UNDER_WAY: 0,
  /** Not now: a needed node is away. To be asked again. */
  LATER: 1,
  /** Never: too much is provably gone. */
  NEVER: 2,
  /** The page is in the frame. */
  DONE: 3,
} as const;
export type Rescue = (typeof Rescue)[keyof typeof Rescue];

/** Live pages, dead ones that groups still need, and live ones that one more loss might take. */
export interface PageFigures {
  live: number;
  dead: number;
  unprotected: number;
}

/** How background work stands. */
export interface RecoveryFigures {
  state: "idle" | "rebuilding" | "reprotecting";
  /** Pages made safe again since the work began, and those that were not safe then. */
  done: number;
  total: number;
}

/** What a mode of redundancy asks of the client's core. */
export interface RedundancyPort {
  readonly table: IpTable;
  /** True if a link to the holder stands. */
  isLinked(holder: number): boolean;
  /** True for a memory server that owes something and says nothing; a parity server may wait for others itself. */
  isSilent(holder: Holder): boolean;
  /** True if the link to the holder takes long messages now, and it has not fallen silent. */
  takesPages(holder: Holder): boolean;
  invalidate(holder: number, pageId: number): void;
  /** The holder is asked for a list later on: something may have come to it that nobody means. */
  listLater(holder: number): void;
  newPageId(): number;
  /** A frame for an accumulator, or NONE. */
  takeAccumulator(): number;
  giveAccumulator(frame: number): void;
  /** Frames left for accumulators, and how many there are. */
  readonly accumulatorsLeft: number;
  readonly accumulators: number;
  /** The accumulator becomes (first) the frame's page, or its XOR with it. */
  accumulate(accumulator: number, frame: number, first: boolean): void;
  /** Copies the accumulator into a reader's frame; false if it is not the page that is read. */
  readAccumulator(accumulator: number, frame: number): boolean;
  /** Makes a member's page in a reader's frame from its group's XOR and others (linked); false: too many are made. */
  makePage(member: number, frame: number): boolean;
  /** Puts the accumulator's page under this id on the holder; `described` by its group where it is a parity server. */
  putParity(accumulator: number, holder: Holder, pageId: number, slot: number, group: number): boolean;
  /** The descriptor of the group is sent (again) to the parity server that has it. */
  describe(group: number): void;
  /** Sends COMPOSE or REBUILD to a parity server; the outcome comes to `operationDone`. */
  operate(holder: Holder, operation: Operation): boolean;
  /** Asks a parity server for the page of the frame, made from these sources. */
  recover(holder: Holder, frame: number, operation: Operation): void;
  /** Asks a holder for a page that stands for the frame's. */
  readCopy(holder: number, frame: number, pageId: number, checksum: number): void;
  /** Reads what the slot means into the accumulator; the outcome comes to `filled`, perhaps at once. */
  fill(accumulator: number, slot: number): void;
  /** True if what the accumulator holds is this page. */
  holdsPage(accumulator: number, pageId: number, checksum: number): boolean;
  /** The slot's page is now elsewhere, under another id. */
  pageMoved(slot: number, holder: number, pageId: number, checksum: number): void;
  /** The slot's page is provably lost. */
  pageLost(slot: number, why: string): void;
  /** True if pages wait for a memory server that takes them. */
  readonly pagesWait: boolean;
  /** Reads that wait for a holder are to be looked up anew. */
  readAgain(): void;
  notice: Notice;
}

/** A way of protecting pages against the loss of a server. */
export interface Redundancy {
  readonly mode: RedundancyMode;
  /** Undefined without redundancy. */
  readonly groups: GroupTable | undefined;
  /** False: no more pages are to be placed until parity has been acknowledged. */
  readonly hasRoom: boolean;
  /** How far ahead of others the holder is, in pages, if it matters that servers get equally many. */
  readonly leadOf: ((holder: Holder) => number) | undefined;
  /** True while parity servers work for it. */
  readonly isBusy: boolean;
  /** The page in `frame` is held, and the slot means it now. The frame's bytes are valid during the call. */
  pageHeld(slot: number, frame: number, pageId: number, checksum: number, holder: Holder): void;
  /** The slot means this page no longer. */
  pageDead(slot: number, pageId: number, holder: number): void;
  /** The holder is asked for a list of all that it has; `isComplete`: all of it has come. */
  listing(holder: Holder, isComplete: boolean): void;
  /** The holder's list has this page: true if it should have it, whether its slot means it or not. */
  wants(holder: number, slot: number, pageId: number): boolean;
  /** The accumulator's page is held by the holder; refused for want of room; or its link ended. */
  parityHeld(accumulator: number): void;
  parityReturned(accumulator: number): void;
  /** What was asked for by `fill` is in the accumulator, or is lost. */
  filled(accumulator: number, isRead: boolean): void;
  /** The operation of this index went so (a ResultStatus). */
  operationDone(operation: number, status: number, checksum: number): void;
  /** True unless it is proved that the slot's page cannot be had but from its holder. */
  hasOthers(slot: number): boolean;
  /** This page, which the slot means or which is a copy of that, is not what it should be where it should be. */
  pageWrong(slot: number, pageId: number): void;
  /**
   * The holder, which stands, does not have this page, which the slot means or which is a copy of that. True if it is
   * to be looked for elsewhere from now on.
   */
  pageMissing(slot: number, pageId: number, holder: Holder): boolean;
  /** True if this page of the holder's is a copy of what the slot means. */
  isCopy(slot: number, pageId: number, holder: Holder): boolean;
  /** This parity server's scrub found a page of a group, or its parity page (of this id), to be wrong. */
  mismatchFound(holder: Holder, group: number, groupId: number, pageId: number): void;
  /** What to do for a read whose holder is not linked, or gave wrong bytes. */
  rescue(slot: number, frame: number, holder: Holder): Rescue;
  /** A link to the holder came up; ended; the holder is provably gone. */
  holderUp(holder: Holder): void;
  holderAway(holder: Holder): void;
  holderDead(holder: Holder): void;
  /** Closes open groups; true once everything acknowledged before is protected as far as it can be. */
  barrier(): () => boolean;
  flush(nowMs: number): void;
  tick(nowMs: number): void;
  figures(): PageFigures;
  recovery(): RecoveryFigures;
}
