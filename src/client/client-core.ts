import { type Capacity, type Hello, highWord, lowWord, ResultStatus, Role } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { NswapError } from "../base/errors.ts";
import { toHex } from "../base/hex.ts";
import { limits } from "../base/limits.ts";
import type { OutQueue } from "../base/out-queue.ts";
import type { Holder, HolderRole } from "../placement/holder.ts";
import { IpTable } from "../placement/ip-table.ts";
import type { PageFigures, Redundancy, RedundancyMode } from "../redundancy/redundancy.ts";
import { Place, SlotMap } from "../slots/slot-map.ts";
import { Barriers } from "./barriers.ts";
import type { ClientCoreOptions } from "./client-core-options.ts";
import { type ClientLimits, clientLimits } from "./client-limits.ts";
import { ClientCounters } from "./counters.ts";
import { FrameTable, NO_FRAME } from "./frame-table.ts";
import { HedgedWrites } from "./hedged-writes.ts";
import type { LinkOptions, LinkPort } from "./link-options.ts";
import { LinkSet } from "./link-set.ts";
import { LossNotices } from "./loss-notices.ts";
import { LostSlots } from "./lost-slots.ts";
import { PageReads } from "./page-reads.ts";
import { PageResult, type PageWaiter } from "./page-waiter.ts";
import { ParityRequests } from "./parity-requests.ts";
import { PartialWrites } from "./partial-writes.ts";
import { Patience } from "./patience.ts";
import { PendingWrites } from "./pending-writes.ts";
import { Placer } from "./placer.ts";
import { newRedundancy, RedundancyHost } from "./redundancy-host.ts";
import { ServerLink } from "./server-link.ts";
import { Starvation } from "./starvation.ts";

/**
 * The client's core: reads and writes of pages, decided without I/O. What a turn brings in is gathered; `flush`,
 * at the turn's end, places pages and encodes batches.
 *
 *     write:  frame -> same-filled? map : pending, to place -> (flush) PUTPAGE -> ACK -> map, waiter told
 *     read:   frame <- pending | map | (flush) GETPAGE -> PAGES -> checksum -> waiter told
 *
 * A write is visible to reads from the moment it is taken, and replaces what older writes of the slot leave behind
 * when it is held. A link that ends gives its writes back to be placed elsewhere; its reads wait for the server.
 */
export class ClientCore implements LinkPort {
  readonly frames: FrameTable;
  readonly slots: SlotMap;
  readonly table: IpTable;
  readonly counters = new ClientCounters();
  readonly #arena: Arena;
  readonly #options: ClientCoreOptions;
  readonly #limits: ClientLimits;
  readonly #pending: PendingWrites;
  readonly #partial: PartialWrites;
  readonly #placer: Placer;
  readonly #links = new LinkSet((link, error) => this.dropLink(link, error));
  readonly #reads: PageReads;
  readonly #patience: Patience;
  readonly #hedgedWrites: HedgedWrites;
  readonly #redundancy: Redundancy;
  readonly #barriers = new Barriers();
  readonly #lostSlots: LostSlots;
  #nextPageId = 1;
  #nowMs = 0;
  #leaving = false;
  readonly #starvation: Starvation;
  readonly #losses: LossNotices;

  constructor(options: ClientCoreOptions) {
    this.#options = options;
    this.#limits = options.limits ?? clientLimits;
    this.#starvation = new Starvation(options.port.notice);
    this.#losses = new LossNotices(options.port.notice);
    this.#arena = options.arena;
    const mode = options.redundancy ?? "none";
    const { clientFrames, accumulators, hedgesMax, writeHedgesMax } = this.#limits;
    const [sums, rescues] = mode === "none" ? [0, 0] : [accumulators, hedgesMax + limits.fetchesMax];
    const pages = options.frames ?? clientFrames;
    this.frames = new FrameTable(options.arena, pages, sums, writeHedgesMax + rescues);
    this.slots = new SlotMap(options.slots);
    this.table = new IpTable(options.prng);
    this.#patience = new Patience(this.table, this.#links);
    this.#pending = new PendingWrites(this.frames);
    this.#placer = new Placer({
      ...this.#shared(),
      overtaken: (frame) => this.#writeDone(frame),
      drop: (link, error) => this.dropLink(link, error),
    });
    this.#reads = new PageReads({
      ...this.#shared(),
      ...{ hedgesMax, notice: options.port.notice },
      lose: (slot, why) => this.#lose(slot, why),
    });
    this.#hedgedWrites = new HedgedWrites({
      ...this.#shared(),
      hedgesMax: writeHedgesMax,
      writeOut: (frame) => this.#writeOut(frame),
    });
    this.#redundancy = this.#newRedundancy(mode);
    this.#lostSlots = new LostSlots({ ...this.#shared(), release: (slot) => this.#release(slot) });
    this.#partial = new PartialWrites(this.#arena, this.frames, {
      readPage: (frame) => this.readPage(frame),
      applyWrite: (frame) => this.#applyWrite(frame),
      applyZero: (slot, hole) => this.#applyZero(slot, hole),
    });
  }

  /** What the parts of the core work on together. */
  #shared() {
    return {
      arena: this.#arena,
      frames: this.frames,
      slots: this.slots,
      table: this.table,
      pending: this.#pending,
      links: this.#links,
      patience: this.#patience,
      counters: this.counters,
      redundancy: () => this.#redundancy,
    };
  }

  #newRedundancy(mode: RedundancyMode): Redundancy {
    const { port, groupSize, slots } = this.#options;
    const host = new RedundancyHost({
      ...this.#shared(),
      reads: this.#reads,
      newPageId: () => this.#newPageId(),
      ...{ nowMs: () => this.#nowMs, pagesWait: () => this.starved },
      lose: (slot, why) => this.#lose(slot, why),
      drop: (link, error) => this.dropLink(link, error),
      notice: port.notice,
    });
    return newRedundancy(host, { mode, slots, groupSize, limits: this.#limits });
  }

  get redundancy(): Redundancy {
    return this.#redundancy;
  }

  // Pages

  /** Writes the whole page in the frame; the frame is given back and its waiter told when the page is held. */
  writePage(frame: number): void {
    if (!this.#partial.deferPage(frame)) this.#applyWrite(frame);
  }

  /** Writes bytes [from, to) of the frame's page. Needs one frame more while the rest is read. */
  writePart(frame: number, from: number, to: number): void {
    this.#partial.write(frame, from, to);
  }

  /** The slot reads as zeros from now on; `hole`: nothing need be kept for it. The waiter is told mostly at once. */
  zeroPage(slot: number, hole: boolean, waiter: PageWaiter): void {
    if (this.#partial.deferZero(slot, hole, waiter)) return;
    this.#applyZero(slot, hole);
    waiter.pageDone(NO_FRAME, PageResult.OK);
  }

  /** Reads the frame's slot into the frame and tells its waiter, at once if no server is needed. */
  readPage(frame: number): void {
    this.#reads.read(frame);
  }

  /** True if the slot has nothing anywhere: neither a page nor a write under way. */
  isHole(slot: number): boolean {
    return this.slots.place(slot) === Place.UNMAPPED && this.#pending.newest(slot) === NO_FRAME;
  }

  /** True if the slot is known to read as zeros without asking a server. */
  isZero(slot: number): boolean {
    if (this.#pending.newest(slot) !== NO_FRAME) return false;
    const place = this.slots.place(slot);
    if (place === Place.UNMAPPED) return true;
    return place === Place.SAME_FILLED && this.slots.wordLow(slot) === 0 && this.slots.wordHigh(slot) === 0;
  }

  #applyWrite(frame: number): void {
    const at = this.frames.address(frame);
    const slot = this.frames.slot[frame]!;
    if (this.#arena.isSameFilled(at)) {
      this.#supersede(slot);
      this.slots.setSameFilled(
        slot,
        this.#arena.view.getUint32(at, true),
        this.#arena.view.getUint32(at + 4, true),
      );
      this.counters.sameFilledOut += 1;
      return this.#writeDone(frame);
    }
    this.#writeOut(frame);
  }

  /** The frame's page becomes the newest write of its slot and goes to a server. */
  #writeOut(frame: number): void {
    this.#identify(frame);
    this.#pending.push(frame);
    this.#placer.push(frame);
  }

  /** Gives the frame's page a new id, and its checksum, which depends on the id. */
  #identify(frame: number): void {
    const id = this.#newPageId();
    this.frames.pageId[frame] = id;
    this.frames.checksum[frame] = this.#arena.pageChecksum(
      this.frames.address(frame),
      lowWord(id),
      highWord(id),
    );
  }

  #newPageId(): number {
    const id = this.#nextPageId;
    this.#nextPageId += 1;
    return id;
  }

  #applyZero(slot: number, hole: boolean): void {
    this.#supersede(slot);
    if (hole) this.slots.setUnmapped(slot);
    else this.slots.setSameFilled(slot, 0, 0);
  }

  #writeDone(frame: number): void {
    const waiter = this.frames.waiter[frame]!;
    this.frames.give(frame);
    waiter.pageDone(frame, PageResult.OK);
  }

  /** Something newer than every write of the slot so far takes effect at once. */
  #supersede(slot: number): void {
    this.#pending.supersede(slot);
    this.#release(slot);
  }

  /** The page that the slot means is needed no more. The caller sets what the slot means next. */
  #release(slot: number): void {
    const place = this.slots.place(slot);
    if (place < Place.FIRST_HOLDER) return;
    const holder = this.table.at(place - Place.FIRST_HOLDER);
    holder.livePages -= 1;
    this.#redundancy.pageDead(slot, this.slots.pageId(slot), holder.index);
    this.table.forgetIfUnused(holder);
  }

  #lose(slot: number, why: string): void {
    this.#losses.lost(slot, this.slots.pageId(slot), why, this.#nowMs);
    this.#release(slot);
    this.slots.setLost(slot);
    this.counters.pagesLost += 1;
  }

  // Turns and time

  /** End of a turn: places what is to be placed and encodes what was gathered for each server. */
  flush(nowMs: number, isTick = false): void {
    this.#nowMs = nowMs;
    if (this.#patience.look(nowMs)) {
      this.#reads.checkLate();
      this.#hedgedWrites.check();
    }
    this.#links.ask(nowMs);
    this.#placer.place(nowMs);
    this.#redundancy.flush(nowMs);
    this.#reads.flush();
    this.#barriers.pass();
    this.#links.flush(nowMs, isTick);
  }

  /** Time passes: silent links are given up, idle ones asked for a sign of life. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#links.tick(nowMs);
    this.#starvation.tick(nowMs, this.#placer.length);
    this.#losses.tick(nowMs);
    this.#redundancy.tick(nowMs);
    this.#lostSlots.tick();
    // What waits for others may have become possible without anybody's saying so.
    this.#reads.lookAgain();
    this.flush(nowMs, true);
  }

  /** True if pages wait for a server to take them. */
  get starved(): boolean {
    return this.#placer.length > 0;
  }

  // Links

  /** A connection to a memory server was made; what comes from it goes to the link. */
  openLink(out: OutQueue, nowMs: number, role: HolderRole = "server"): ServerLink {
    const { arena, own, prover } = this.#options;
    const link = new ServerLink(out, {
      arena,
      frames: this.frames,
      own: own(),
      prover,
      port: this,
      queueBytesSoft: this.#limits.peerQueueBytesSoft,
      role: role === "parity" ? Role.PARITY : Role.SERVER,
      ...(role === "parity" ? this.#parityRequests(out) : {}),
    });
    link.lastHeardMs = nowMs;
    this.#links.add(link);
    return link;
  }

  #parityRequests(out: OutQueue): Partial<LinkOptions> {
    const { groups } = this.#redundancy;
    if (groups === undefined) return {};
    const requests = new ParityRequests(out, groups, (holder) => this.table.at(holder).identityBytes);
    return { parity: { requests, operationsMax: this.#limits.operationsMax } };
  }

  /** Gives a link up from our side. */
  dropLink(link: ServerLink, error: Error): void {
    link.close(error);
    this.#options.port.linkClosed(link);
    this.linkEnded(link);
  }

  /** The link's connection is over. Its writes are placed anew, its reads wait for the server to return. */
  linkEnded(link: ServerLink): void {
    if (!this.#links.remove(link)) return;
    link.close(new NswapError("PEER_CLOSED", "the connection ended", { retry: true }));
    if (link.holder < 0) return;
    const holder = this.table.at(link.holder);
    this.table.setAway(holder);
    this.counters.linksLost += 1;
    link.surrender(
      (frame) => {
        if (this.#returnParity(holder, frame)) return;
        // An INVALIDATE for the copy that the server may have must not hit the page where it is sent next.
        this.#identify(frame);
        this.#placeAgain(holder, frame);
      },
      (frame) => this.#reads.postpone(frame),
      (operation) => this.#redundancy.operationDone(operation, ResultStatus.UNREACHABLE, 0),
    );
    this.#redundancy.holderAway(holder);
    if (!this.#leaving) this.#losses.linkLost(holder, link.closed?.message);
  }

  /** True if the frame is an accumulator: its group's parity is sent again. */
  #returnParity(holder: Holder, frame: number): boolean {
    if (frame < this.frames.count) return false;
    holder.unackedPages -= 1;
    this.frames.placedOn[frame] = NO_FRAME;
    this.#redundancy.parityReturned(frame - this.frames.count);
    return true;
  }

  #placeAgain(holder: Holder, frame: number): void {
    holder.unackedPages -= 1;
    this.frames.placedOn[frame] = NO_FRAME;
    if (this.#hedgedWrites.leaveToCopy(frame)) return this.#writeDone(frame);
    this.counters.placedAgain += 1;
    this.#placer.push(frame);
  }

  /**
   * A memory server is provably gone with its pages: another process answers in its place, or it said that it
   * leaves. Its slots are lost, and those who wait for them are told.
   */
  serverLost(identity: string, why: string): void {
    const holder = this.table.byIdentity(identity);
    if (holder === undefined) return;
    const link = this.#links.of(holder);
    if (link !== undefined) this.dropLink(link, new NswapError("PEER_CLOSED", why));
    this.counters.serversLost += 1;
    this.#losses.serverLost(holder, why);
    this.table.setDead(holder);
    this.#redundancy.holderDead(holder);
    this.#reads.lookAgain();
    this.#reads.flush();
  }

  /** True if a link to this server stands. */
  isLinked(identity: string): boolean {
    const holder = this.table.byIdentity(identity);
    return holder !== undefined && this.#links.of(holder) !== undefined;
  }

  /** Figures of a server that came by gossip: older than what its own answers say, so for servers that owe none. */
  capacityHeard(identity: string, capacity: Capacity): void {
    const holder = this.table.byIdentity(identity);
    if (holder !== undefined && holder.unackedPages === 0) holder.report(capacity);
  }

  /** Slots whose page is provably lost, whether or not somebody has asked for it. */
  get lostPages(): number {
    return this.#lostSlots.count;
  }

  /** Calls `done` when all that was acknowledged is protected; at once where nobody can do that. */
  whenProtected(done: () => void): void {
    this.#barriers.wait(this.#redundancy.barrier(), done);
  }

  /** Pages on servers: live, dead but still needed by groups, live and one loss from being lost, lost. */
  get pages(): PageFigures & { lost: number } {
    return { ...this.#redundancy.figures(), lost: this.lostPages };
  }

  /** The client ends in order: servers may drop its pages. */
  goodbye(): void {
    this.#leaving = true;
    this.#losses.say();
    this.#links.goodbye(this.#nowMs);
  }

  // LinkPort

  linkUp(link: ServerLink, hello: Hello, capacity: Capacity): void {
    const identity = toHex(hello.identity);
    const known = this.table.byIdentity(identity);
    if (known !== undefined && this.#links.of(known) !== undefined) {
      link.close(new NswapError("PEER_REFUSED", `"${hello.name}" is linked already`));
      return;
    }
    const holder = this.table.admit(identity, hello.name, hello.role === Role.PARITY ? "parity" : "server");
    this.#links.bind(link, holder);
    this.table.setUp(holder);
    holder.report(capacity);
    // What it holds and we no longer mean (messages lost with an earlier link) is found out and dropped.
    link.list();
    // An earlier connection may bring pages after that; by then the server has ended it.
    if (known !== undefined) link.listAgainAtMs = this.#nowMs + limits.linkListAgainMs;
    this.#redundancy.holderUp(holder);
    this.#reads.lookAgain();
  }

  capacity(link: ServerLink, capacity: Capacity): void {
    this.table.at(link.holder).report(capacity);
  }

  answered(link: ServerLink, latencyMs: number): void {
    this.table.at(link.holder).answered(latencyMs, this.#nowMs);
  }

  pageHeld(link: ServerLink, frame: number): void {
    const holder = this.table.at(link.holder);
    const slot = this.frames.slot[frame]!;
    const id = this.frames.pageId[frame]!;
    holder.unackedPages -= 1;
    this.frames.placedOn[frame] = NO_FRAME;
    if (frame >= this.frames.count) return this.#redundancy.parityHeld(frame - this.frames.count);
    this.counters.pagesOut += 1;
    if (this.frames.stale[frame] === 1) link.invalidate(id);
    else {
      const checksum = this.frames.checksum[frame]!;
      this.#hedgedWrites.held(frame);
      this.#release(slot);
      this.slots.setPage(slot, holder.index, id, checksum);
      holder.livePages += 1;
      this.#redundancy.pageHeld(slot, frame, id, checksum, holder);
    }
    this.#writeDone(frame);
  }

  pageRefused(link: ServerLink, frame: number): void {
    const holder = this.table.at(link.holder);
    holder.full = true;
    if (!this.#returnParity(holder, frame)) this.#placeAgain(holder, frame);
  }

  pageArrived(link: ServerLink, frame: number): void {
    this.#reads.arrived(frame, this.table.at(link.holder));
  }

  pageMissing(link: ServerLink, frame: number): void {
    this.#reads.missing(frame, this.table.at(link.holder));
  }

  operationDone(index: number, status: number, checksum: number): void {
    this.#redundancy.operationDone(index, status, checksum);
  }

  mismatchFound(link: ServerLink, group: number, groupId: number, pageId: number): void {
    this.#redundancy.mismatchFound(this.table.at(link.holder), group, groupId, pageId);
  }

  listing(link: ServerLink, isComplete: boolean): void {
    this.#redundancy.listing(this.table.at(link.holder), isComplete);
  }

  pageListed(link: ServerLink, pageId: number, slot: number): void {
    if (this.#redundancy.wants(link.holder, slot, pageId)) return;
    if (this.table.at(link.holder).role === "server" && slot < this.slots.slots) {
      const meant =
        this.slots.place(slot) === Place.FIRST_HOLDER + link.holder && this.slots.pageId(slot) === pageId;
      if (meant || this.#isPlacedOn(slot, pageId, link.holder)) return;
    }
    link.invalidate(pageId);
  }

  #isPlacedOn(slot: number, pageId: number, holder: number): boolean {
    for (let frame = this.#pending.newest(slot); frame !== NO_FRAME; frame = this.frames.older[frame]!) {
      if (this.frames.pageId[frame] === pageId) return this.frames.placedOn[frame] === holder;
    }
    return false;
  }
}
