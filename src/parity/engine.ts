import { highWord, lowWord, OWN_STORE, ResultStatus } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { invariant } from "../base/assert.ts";
import { limits } from "../base/limits.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { type FrameTable, NO_FRAME } from "../client/frame-table.ts";
import type { PageWaiter } from "../client/page-waiter.ts";
import type { ClientRecord } from "../server/client-table.ts";
import type { FrameStore } from "../server/frame-store.ts";
import { newPageMeta } from "../server/page-meta.ts";
import type { GroupTable } from "./group-table.ts";
import { Batch, type BatchOwner, type BatchQueue, type Job, JobKind } from "./job.ts";
import type { ParityCounters } from "./parity-counters.ts";
import type { FetchFor, PagePort } from "./server-links.ts";
import type { ServerTable } from "./server-table.ts";

/** Moves pages between work frames and memory servers. */
export interface PageMover {
  fetch(client: ClientRecord, server: number, frame: number, whom: FetchFor): void;
  put(client: ClientRecord, server: number, frame: number): void;
}

export interface EngineOptions {
  arena: Arena;
  frames: FrameTable;
  store: FrameStore;
  groups: GroupTable;
  servers: ServerTable;
  counters: ParityCounters;
}

/** The batches that one connection has waiting. */
export interface Line {
  readonly urgent: BatchQueue;
  readonly ordinary: BatchQueue;
  /** True while the engine has it among those with something waiting. */
  urgentListed: boolean;
  ordinaryListed: boolean;
}

/** Batches kept for use again. */
const SPARE_BATCHES_MAX = 512;
/** Part of the work frames that other batches leave to urgent ones. */
const URGENT_SHARE = 0.3;
/** Bit of `Job.wrongSources` for a source that is not one of the members. */
const NO_MEMBER = 1 << 30;
const fetchedFor = (kind: JobKind): FetchFor => {
  if (kind === JobKind.RECOVER) return "reader";
  return kind === JobKind.SCRUB ? "scrub" : "work";
};

/** Frames belong to jobs, not to those who wait for pages of an NBD client. */
const NOBODY: PageWaiter = { pageDone() {} };

/**
 * Computes pages: fetches a job's sources, XORs them as they come, and brings the result where the job's kind says.
 *
 *     line (urgent, ordinary) -> start: all frames at once -> sources … -> settle -> owner -> release
 *
 * A batch gets all frames it can need when it starts, so one that runs waits for nothing but memory servers, and those
 * answer or are given up.
 */
export class Engine implements PagePort {
  readonly #options: EngineOptions;
  readonly #mover: () => PageMover;
  /** The job that each work frame is on its way for. */
  readonly #jobOf: (Job | undefined)[];
  readonly #scratch: number;
  readonly #meta = newPageMeta();
  readonly #spare: Batch[] = [];
  #urgent: Line[] = [];
  #ordinary: Line[] = [];
  readonly #reserve: number;
  /** Urgent batches that were started since an ordinary one was, or had to wait. */
  #passed = 0;
  /** Jobs under way, and jobs in lines. */
  running = 0;
  waiting = 0;
  /** Batches that were started and are still in somebody's hands. */
  open = 0;

  constructor(options: EngineOptions, mover: () => PageMover) {
    this.#options = options;
    this.#mover = mover;
    this.#jobOf = new Array(options.frames.count).fill(undefined);
    this.#scratch = options.arena.allocate(PAGE_BYTES);
    this.#reserve = Math.floor(options.frames.count * URGENT_SHARE);
  }

  /** True if a check of a group is in nobody's way. */
  get idle(): boolean {
    return this.waiting === 0 && this.#options.frames.free * 2 >= this.#options.frames.count;
  }

  /** A batch to be filled, then given to `enqueue` or `start`. */
  newBatch(kind: JobKind, owner: BatchOwner, client: ClientRecord): Batch {
    const batch = this.#spare.pop() ?? new Batch();
    batch.kind = kind;
    batch.owner = owner;
    batch.client = client;
    batch.count = 0;
    batch.attempt = 0;
    batch.outstanding = 0;
    batch.unsettled = 0;
    batch.released = false;
    batch.started = false;
    return batch;
  }

  enqueue(line: Line, batch: Batch): void {
    this.waiting += batch.count;
    if (batch.kind === JobKind.RECOVER) {
      line.urgent.push(batch);
      if (!line.urgentListed) this.#urgent.push(line);
      line.urgentListed = true;
    } else {
      line.ordinary.push(batch);
      if (!line.ordinaryListed) this.#ordinary.push(line);
      line.ordinaryListed = true;
    }
  }

  /** The connection is gone: what waits in its line is forgotten. */
  forget(line: Line): void {
    for (const queue of [line.urgent, line.ordinary]) {
      for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
        this.waiting -= batch.count;
        this.#recycle(batch);
      }
    }
    this.#urgent = this.#urgent.filter((other) => other !== line);
    this.#ordinary = this.#ordinary.filter((other) => other !== line);
  }

  /** Starts what there are frames for: urgent batches first, lines in turn. True if any was started. */
  startSome(): boolean {
    let started = false;
    while (this.#startUrgent() || this.#startOrdinary()) started = true;
    return started;
  }

  /** True if other work has been passed by so many urgent batches that it comes first. */
  get #isOrdinaryDue(): boolean {
    return this.#passed >= limits.parityPassedMax && this.#ordinary.length > 0;
  }

  #startUrgent(): boolean {
    const line = this.#urgent[0];
    if (line === undefined || this.#isOrdinaryDue) return false;
    if (line.urgent.head!.framesNeeded > this.#options.frames.free) return false;
    this.#urgent.shift();
    const batch = line.urgent.shift()!;
    line.urgentListed = line.urgent.head !== undefined;
    if (line.urgentListed) this.#urgent.push(line);
    if (this.#ordinary.length > 0) this.#passed += 1;
    this.#startWaiting(batch);
    return true;
  }

  #startOrdinary(): boolean {
    const line = this.#ordinary[0];
    const isDue = this.#isOrdinaryDue;
    if (line === undefined || (this.#urgent.length > 0 && !isDue)) return false;
    const reserve = isDue ? 0 : this.#reserve;
    if (line.ordinary.head!.framesNeeded > this.#options.frames.free - reserve) return false;
    this.#ordinary.shift();
    const batch = line.ordinary.shift()!;
    line.ordinaryListed = line.ordinary.head !== undefined;
    if (line.ordinaryListed) this.#ordinary.push(line);
    this.#passed = 0;
    this.#startWaiting(batch);
    return true;
  }

  #startWaiting(batch: Batch): void {
    this.waiting -= batch.count;
    this.start(batch);
  }

  /** Starts a batch, for which there are frames. */
  start(batch: Batch): void {
    const { frames } = this.#options;
    batch.started = true;
    this.open += 1;
    batch.unsettled = batch.count;
    batch.outstanding = batch.count;
    this.running += batch.count;
    for (let i = 0; i < batch.count; i += 1) {
      const job = batch.jobs[i]!;
      job.outstanding = 1;
      job.frame = frames.take(0, NOBODY);
    }
    for (let i = 0; i < batch.count; i += 1) this.#startJob(batch.jobs[i]!);
  }

  #startJob(job: Job): void {
    const { arena, frames } = this.#options;
    arena.fill(frames.address(job.frame), 0, PAGE_BYTES);
    if (job.batch.kind === JobKind.COMPOSE) this.#lookBefore(job);
    for (let i = 0; i < job.sources && !job.settled; i += 1) {
      if (job.sourceServers[i] === OWN_STORE) this.#addOwn(job, job.sourceIds[i]!);
    }
    const whom = fetchedFor(job.batch.kind);
    for (let i = 0; i < job.sources && !job.settled; i += 1) {
      const server = job.sourceServers[i]!;
      if (server === OWN_STORE) continue;
      const frame = frames.take(i, NOBODY);
      frames.pageId[frame] = job.sourceIds[i]!;
      this.#jobOf[frame] = job;
      job.outstanding += 1;
      job.batch.outstanding += 1;
      this.#mover().fetch(job.batch.client!, server, frame, whom);
    }
    this.#returned(job);
  }

  /** A group that is held already is not composed again, and one that there is no room for is not begun. */
  #lookBefore(job: Job): void {
    const { store } = this.#options;
    const frame = this.#find(job, job.pageId);
    if (frame >= 0) {
      this.#recordMembers(job, frame);
      this.#settle(job, ResultStatus.OK);
    } else if (store.free === 0) this.#settle(job, ResultStatus.FULL);
  }

  #find(job: Job, pageId: number): number {
    return this.#options.store.find(job.batch.client!.index, lowWord(pageId), highWord(pageId));
  }

  #addOwn(job: Job, pageId: number): void {
    const { arena, frames, store } = this.#options;
    const held = this.#find(job, pageId);
    if (held < 0) return this.#settle(job, ResultStatus.MISSING);
    store.read(held, 1, arena.bytes, this.#scratch);
    const isRight =
      store.describe(held, job.batch.client!.index, this.#meta) &&
      this.#meta.checksum === arena.pageChecksum(this.#scratch, lowWord(pageId), highWord(pageId));
    if (!isRight) job.wrongSources |= NO_MEMBER;
    arena.xor(frames.address(job.frame), this.#scratch, PAGE_BYTES);
  }

  // PagePort: what became of a work frame.

  fetched(frame: number, sentWith: number): void {
    const job = this.#jobOf[frame]!;
    if (!job.settled) {
      const { arena, frames } = this.#options;
      this.#verifySource(job, frame, sentWith);
      arena.xor(frames.address(job.frame), frames.address(frame), PAGE_BYTES);
    }
    this.#giveBack(frame, job);
  }

  absent(frame: number): void {
    this.#failed(frame, ResultStatus.MISSING);
  }

  unreachable(frame: number): void {
    this.#failed(frame, ResultStatus.UNREACHABLE);
  }

  refused(frame: number): void {
    this.#failed(frame, ResultStatus.FULL);
  }

  held(frame: number): void {
    const job = this.#jobOf[frame]!;
    this.#settle(job, ResultStatus.OK);
    this.#giveBack(frame, job);
  }

  #failed(frame: number, status: ResultStatus): void {
    const job = this.#jobOf[frame]!;
    this.#settle(job, status);
    this.#giveBack(frame, job);
  }

  #giveBack(frame: number, job: Job): void {
    this.#jobOf[frame] = undefined;
    this.#options.frames.give(frame);
    this.#returned(job);
  }

  /** One thing less that the job waits for. */
  #returned(job: Job): void {
    const { batch } = job;
    job.outstanding -= 1;
    if (job.outstanding === 0 && !job.settled) this.#complete(job);
    // After that: until here the batch cannot be used again.
    batch.outstanding -= 1;
    if (batch.outstanding === 0 && batch.released) this.#recycle(batch);
  }

  /** The source in a frame must have the checksum that its server has for it, and as a member the one that is known. */
  #verifySource(job: Job, frame: number, sentWith: number): void {
    const { frames } = this.#options;
    if (job.batch.kind !== JobKind.COMPOSE && job.batch.kind !== JobKind.SCRUB) return;
    const pageId = frames.pageId[frame]!;
    const checksum = this.#checksum(frame, pageId);
    let which = NO_MEMBER;
    let isRight = checksum === sentWith;
    for (let i = 0; i < job.memberCount; i += 1) {
      if (job.members[i]!.pageId !== pageId) continue;
      which = 1 << i;
      isRight &&= checksum === job.members[i]!.checksum;
    }
    if (!isRight) job.wrongSources |= which;
  }

  #checksum(frame: number, pageId: number): number {
    const { arena, frames } = this.#options;
    return arena.pageChecksum(frames.address(frame), lowWord(pageId), highWord(pageId));
  }

  /** All sources are there. */
  #complete(job: Job): void {
    switch (job.batch.kind) {
      case JobKind.RECOVER:
        return this.#settle(job, this.#isRight(job) ? ResultStatus.OK : ResultStatus.WRONG);
      case JobKind.COMPOSE:
        return this.#settle(job, job.wrongSources === 0 ? this.#store(job) : ResultStatus.WRONG);
      case JobKind.REBUILD:
        return this.#isRight(job) ? this.#putAtTarget(job) : this.#settle(job, ResultStatus.WRONG);
      case JobKind.SCRUB:
        return this.#settle(job, this.#isZero(job) ? ResultStatus.OK : ResultStatus.WRONG);
    }
  }

  #isRight(job: Job): boolean {
    return this.#checksum(job.frame, job.pageId) === job.checksum;
  }

  #isZero(job: Job): boolean {
    const { arena, frames } = this.#options;
    const at = frames.address(job.frame);
    return (
      job.wrongSources === 0 &&
      arena.isSameFilled(at) &&
      arena.view.getUint32(at) === 0 &&
      arena.view.getUint32(at + 4) === 0
    );
  }

  /** The parity page is computed: it becomes a page of the store. */
  #store(job: Job): ResultStatus {
    const { arena, frames, store } = this.#options;
    const into = store.take();
    if (into < 0) return ResultStatus.FULL;
    const at = frames.address(job.frame);
    store.write(into, 0, arena.bytes, at, at + PAGE_BYTES);
    const meta = this.#meta;
    meta.idLow = lowWord(job.pageId);
    meta.idHigh = highWord(job.pageId);
    meta.checksum = this.#checksum(job.frame, job.pageId);
    meta.slotLow = job.slot;
    meta.slotHigh = 0;
    store.publish(into, job.batch.client!.index, meta);
    this.#recordMembers(job, into);
    return ResultStatus.OK;
  }

  #recordMembers(job: Job, frame: number): void {
    const { groups, store } = this.#options;
    groups.set(frame, job.members, job.memberCount);
    store.reslot(frame, job.slot, 0);
  }

  /** The page is computed: it goes to its new server, under its new id. */
  #putAtTarget(job: Job): void {
    const { frames } = this.#options;
    const { frame, batch } = job;
    job.frame = NO_FRAME;
    job.checksum = this.#checksum(frame, job.newPageId);
    frames.pageId[frame] = job.newPageId;
    frames.slot[frame] = job.slot;
    frames.checksum[frame] = job.checksum;
    this.#jobOf[frame] = job;
    job.outstanding = 1;
    batch.outstanding += 1;
    this.#mover().put(batch.client!, job.target, frame);
  }

  #settle(job: Job, status: ResultStatus): void {
    if (job.settled) return;
    job.settled = true;
    job.status = status;
    this.running -= 1;
    const { batch } = job;
    batch.unsettled -= 1;
    // The computed page of a reader is kept until it was sent.
    if (batch.kind !== JobKind.RECOVER || status !== ResultStatus.OK) this.#dropFrame(job);
    if (batch.unsettled === 0 && !batch.released) batch.owner!.settled(batch);
  }

  #dropFrame(job: Job): void {
    if (job.frame !== NO_FRAME) this.#options.frames.give(job.frame);
    job.frame = NO_FRAME;
  }

  /** The owner needs the batch no more: what is still on its way comes to nothing. */
  release(batch: Batch): void {
    invariant(!batch.released, "a batch is released once");
    batch.released = true;
    for (let i = 0; i < batch.count; i += 1) {
      const job = batch.jobs[i]!;
      if (!job.settled) this.#settle(job, ResultStatus.UNREACHABLE);
      this.#dropFrame(job);
    }
    if (batch.outstanding === 0) this.#recycle(batch);
  }

  #recycle(batch: Batch): void {
    for (let i = 0; i < batch.count; i += 1) batch.jobs[i]!.releaseServers(this.#options.servers);
    if (batch.started) this.open -= 1;
    batch.client = undefined;
    batch.owner = undefined;
    if (this.#spare.length < SPARE_BATCHES_MAX) this.#spare.push(batch);
  }

  /** Asserts that no more is on its way than there are frames in use; for tests and simulation. */
  check(): void {
    const { frames } = this.#options;
    const onTheirWay = this.#jobOf.reduce((sum, job) => sum + (job === undefined ? 0 : 1), 0);
    invariant(frames.used >= onTheirWay, "a frame on its way is in use");
    invariant(this.running >= 0 && this.waiting >= 0 && this.open >= 0, "no job ends twice");
  }
}
