import { highWord, lowWord } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { Holder } from "../placement/holder.ts";
import type { IpTable } from "../placement/ip-table.ts";
import { LoggedRedundancy } from "../redundancy/logged-redundancy.ts";
import { NoRedundancy } from "../redundancy/no-redundancy.ts";
import type { Operation } from "../redundancy/operation.ts";
import type { Redundancy, RedundancyMode, RedundancyPort } from "../redundancy/redundancy.ts";
import type { SlotMap } from "../slots/slot-map.ts";
import type { ClientLimits } from "./client-limits.ts";
import type { FrameTable } from "./frame-table.ts";
import { GroupReads } from "./group-reads.ts";
import type { LinkSet } from "./link-set.ts";
import type { PageReads } from "./page-reads.ts";
import { PageResult, type PageWaiter } from "./page-waiter.ts";
import type { Patience } from "./patience.ts";
import type { ServerLink } from "./server-link.ts";

export interface RedundancyHostOptions {
  arena: Arena;
  frames: FrameTable;
  table: IpTable;
  slots: SlotMap;
  links: LinkSet;
  reads: PageReads;
  patience: Patience;
  redundancy: () => Redundancy;
  newPageId: () => number;
  nowMs: () => number;
  pagesWait: () => boolean;
  /** The slot's page is provably lost. */
  lose: (slot: number, why: string) => void;
  /** The link cannot be used any more. */
  drop: (link: ServerLink, error: NswapError) => void;
  notice: Notice;
}

/** What the client's core does for its redundancy: frames, links and the map behind the port. */
export class RedundancyHost implements RedundancyPort {
  readonly table: IpTable;
  readonly notice: Notice;
  readonly #options: RedundancyHostOptions;
  readonly #frames: FrameTable;
  readonly #groupReads: GroupReads;
  readonly #filling: PageWaiter = {
    pageDone: (frame, result) => {
      this.#frames.waiter[frame] = undefined;
      this.#options.redundancy().filled(frame - this.#frames.count, result === PageResult.OK);
    },
  };

  constructor(options: RedundancyHostOptions) {
    this.#options = options;
    this.#frames = options.frames;
    this.#groupReads = new GroupReads(options);
    this.table = options.table;
    this.notice = options.notice;
  }

  #link(holder: number): ServerLink | undefined {
    return this.#options.links.of(this.table.at(holder));
  }

  isLinked(holder: number): boolean {
    return this.#link(holder) !== undefined;
  }

  isSilent(holder: Holder): boolean {
    const link = this.#options.links.of(holder);
    return holder.role !== "parity" && link !== undefined && this.#options.patience.isSilent(holder, link);
  }

  takesPages(holder: Holder): boolean {
    const link = this.#options.links.of(holder);
    return link?.up === true && link.hasRoom && !this.isSilent(holder);
  }

  get pagesWait(): boolean {
    return this.#options.pagesWait();
  }

  invalidate(holder: number, pageId: number): void {
    // A server that is away is told when it comes back: its LISTING shows what it holds in vain.
    // One that had no room is asked for nothing else whose answer would tell of what it has now.
    this.#link(holder)?.invalidate(pageId, this.table.at(holder).full);
  }

  listLater(holder: number): void {
    const link = this.#link(holder);
    if (link !== undefined) link.listAgainAtMs = this.#options.nowMs() + limits.linkListAgainMs;
  }

  newPageId(): number {
    return this.#options.newPageId();
  }

  takeAccumulator(): number {
    return this.#frames.takeAccumulator();
  }

  giveAccumulator(accumulator: number): void {
    this.#frames.giveAccumulator(accumulator);
  }

  get accumulatorsLeft(): number {
    return this.#frames.accumulatorsLeft;
  }

  get accumulators(): number {
    return this.#frames.accumulators;
  }

  accumulate(accumulator: number, frame: number, first: boolean): void {
    const to = this.#frames.address(this.#frames.frameOf(accumulator));
    const from = this.#frames.address(frame);
    if (first) this.#options.arena.copy(to, from, PAGE_BYTES);
    else this.#options.arena.xor(to, from, PAGE_BYTES);
  }

  readAccumulator(accumulator: number, frame: number): boolean {
    const { pageId, checksum } = this.#frames;
    if (!this.holdsPage(accumulator, pageId[frame]!, checksum[frame]!)) return false;
    const from = this.#frames.address(this.#frames.frameOf(accumulator));
    this.#options.arena.copy(this.#frames.address(frame), from, PAGE_BYTES);
    return true;
  }

  makePage(member: number, frame: number): boolean {
    return this.#groupReads.make(this.#options.redundancy().groups!, member, frame);
  }

  putParity(accumulator: number, holder: Holder, pageId: number, slot: number, group: number): boolean {
    const link = this.#options.links.of(holder);
    if (link === undefined) return false;
    const frame = this.#frames.frameOf(accumulator);
    const at = this.#frames.address(frame);
    const checksum = this.#options.arena.pageChecksum(at, lowWord(pageId), highWord(pageId));
    this.#frames.slot[frame] = slot;
    this.#frames.pageId[frame] = pageId;
    this.#frames.checksum[frame] = checksum;
    this.#options.redundancy().groups!.parityChecksum[group] = checksum;
    this.#frames.placedOn[frame] = holder.index;
    holder.unackedPages += 1;
    link.putParity(frame);
    return true;
  }

  describe(group: number): void {
    const { parityHolder } = this.#options.redundancy().groups!;
    const link = this.#link(parityHolder[group]!);
    if (link !== undefined) this.#guarded(link, () => link.describe(group));
  }

  operate(holder: Holder, operation: Operation): boolean {
    const link = this.#options.links.of(holder);
    if (link === undefined) return false;
    this.#guarded(link, () => link.operate(operation, this.#options.nowMs()));
    return true;
  }

  recover(holder: Holder, frame: number, operation: Operation): void {
    const link = this.#options.links.of(holder)!;
    this.#guarded(link, () => link.recover(frame, operation, this.#options.nowMs()));
  }

  /** A link without room for what it was given is dropped, with what it was given. */
  #guarded(link: ServerLink, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof NswapError)) throw error;
      this.#options.drop(link, error);
    }
  }

  readCopy(holder: number, frame: number, pageId: number, checksum: number): void {
    this.#frames.pageId[frame] = pageId;
    this.#frames.checksum[frame] = checksum;
    this.#link(holder)!.getPage(frame);
  }

  fill(accumulator: number, slot: number): void {
    const frame = this.#frames.frameOf(accumulator);
    this.#frames.slot[frame] = slot;
    this.#frames.attempts[frame] = 0;
    this.#frames.waiter[frame] = this.#filling;
    this.#options.reads.read(frame);
  }

  holdsPage(accumulator: number, pageId: number, checksum: number): boolean {
    const at = this.#frames.address(this.#frames.frameOf(accumulator));
    return this.#options.arena.pageChecksum(at, lowWord(pageId), highWord(pageId)) === checksum;
  }

  pageMoved(slot: number, holder: number, pageId: number, checksum: number): void {
    const { slots } = this.#options;
    this.table.at(slots.holder(slot)).livePages -= 1;
    slots.setPage(slot, holder, pageId, checksum);
    this.table.at(holder).livePages += 1;
  }

  pageLost(slot: number, why: string): void {
    this.#options.lose(slot, why);
  }

  readAgain(): void {
    this.#options.reads.lookAgain();
  }
}

const GROUP_SIZE = 4;

/** The redundancy of a client that asked for this mode. */
export function newRedundancy(
  port: RedundancyPort,
  options: { mode: RedundancyMode; slots: number; groupSize: number | undefined; limits: ClientLimits },
): Redundancy {
  const { mode, slots } = options;
  if (mode === "none") return new NoRedundancy(port);
  return new LoggedRedundancy({
    port,
    slots,
    mode,
    groupSize: options.groupSize ?? GROUP_SIZE,
    operationsMax: options.limits.operationsMax,
    lostAfterMs: options.limits.lostAfterMs,
    retryMs: limits.operationRetryMs,
    pagesPerSecond: options.limits.recoveryPagesPerSecond,
    reclaimShare: limits.reclaimShare,
  });
}
