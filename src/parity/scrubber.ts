import {
  type GroupMember,
  highWord,
  lowWord,
  type Mismatch,
  OWN_STORE,
  ResultStatus,
} from "../../proto/peer/index.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { ClientRecord, ClientTable } from "../server/client-table.ts";
import type { FrameStore } from "../server/frame-store.ts";
import { newPageMeta } from "../server/page-meta.ts";
import type { Engine } from "./engine.ts";
import type { GroupTable } from "./group-table.ts";
import { type Batch, type BatchOwner, type Job, JobKind } from "./job.ts";
import type { ScrubSnapshot } from "./parity-counters.ts";
import type { ServerTable } from "./server-table.ts";

export interface ScrubberOptions {
  engine: Engine;
  store: FrameStore;
  clients: ClientTable;
  groups: GroupTable;
  servers: ServerTable;
  log: Pick<Log, "warn"> | undefined;
  /** Groups of one tick. */
  perTick: number;
  /** The client is to know. */
  tell: (client: ClientRecord, mismatch: Readonly<Mismatch>) => void;
}

/** Store frames passed over in one turn. */
const SCAN_FRAMES = 4096;
/** Groups begun with in one turn: those whose servers cannot be reached are done with at once. */
const GROUPS_PER_TURN = 64;

/**
 * Checks that the XOR of a group's members is its parity page, and the members' checksums, group after group, slowly;
 * or as fast as nobody is kept waiting, once it was asked to. A group that is wrong is looked at a second time.
 */
export class Scrubber implements BatchOwner {
  readonly #options: ScrubberOptions;
  readonly #meta = newPageMeta();
  readonly #member: GroupMember = { pageId: 0, checksum: 0, server: 0 };
  readonly #again: Batch[] = [];
  #position = 0;
  #running = false;
  #inFlight = 0;
  #scrubbed = 0;
  #skipped = 0;
  #unreachable = 0;
  #mismatches = 0;
  #passes = 0;

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  get snapshot(): ScrubSnapshot {
    const end = this.#options.store.scanEnd;
    return {
      running: this.#running,
      position: Math.min(this.#position, end),
      end,
      scrubbed: this.#scrubbed,
      skipped: this.#skipped,
      unreachable: this.#unreachable,
      mismatches: this.#mismatches,
      passes: this.#passes,
    };
  }

  /** Checks all groups, from the first on. */
  start(): void {
    this.#position = 0;
    this.#running = true;
  }

  tick(): void {
    if (this.#running) return;
    for (let i = 0; i < this.#options.perTick; i += 1) if (!this.#next()) return;
  }

  /** End of the turn. */
  flush(): void {
    while (this.#again.length > 0 && this.#options.engine.idle) this.#lookAgain(this.#again.pop()!);
    for (let i = 0; i < GROUPS_PER_TURN && this.#running; i += 1) if (!this.#next()) return;
  }

  /** Begins with the next group, if there is one within reach. */
  #next(): boolean {
    const { engine, groups, store } = this.#options;
    if (this.#inFlight >= limits.parityScrubAtATime || !engine.idle) return false;
    // The store was empty meanwhile, and its frames are used from the first one on again.
    if (this.#position > store.scanEnd) this.#position = 0;
    const end = Math.min(store.scanEnd, this.#position + SCAN_FRAMES);
    while (this.#position < end) {
      const frame = this.#position;
      this.#position += 1;
      if (groups.membersOf(frame) > 0 && this.#check(frame, 0)) return true;
    }
    if (this.#position < store.scanEnd) return false;
    // The pass ends with the answer to its last question.
    if (this.#inFlight > 0 || this.#again.length > 0) return false;
    if (this.#running || store.scanEnd > 0) this.#passes += 1;
    this.#running = false;
    this.#position = 0;
    return false;
  }

  /** Begins to check the group in a frame; false if it is nobody's any more. */
  #check(frame: number, attempt: number): boolean {
    const { clients, engine, groups, servers, store } = this.#options;
    const client = clients.at(store.ownerOf(frame));
    if (client === undefined || !store.describe(frame, client.index, this.#meta)) return false;
    const batch = engine.newBatch(JobKind.SCRUB, this, client);
    batch.attempt = attempt;
    const job = batch.add();
    job.pageId = this.#meta.idHigh * 2 ** 32 + this.#meta.idLow;
    job.slot = frame;
    job.addSource(job.pageId, OWN_STORE);
    job.memberCount = groups.membersOf(frame);
    for (let i = 0; i < job.memberCount; i += 1) {
      const member = job.members[i]!;
      groups.member(frame, i, member);
      servers.hold(member.server);
      job.addSource(member.pageId, servers.hold(member.server));
    }
    this.#inFlight += 1;
    engine.start(batch);
    return true;
  }

  settled(batch: Batch): void {
    this.#inFlight -= 1;
    const { status } = batch.jobs[0]!;
    if (status === ResultStatus.WRONG && this.#stands(batch)) {
      this.#again.push(batch);
      return;
    }
    if (status === ResultStatus.OK) this.#scrubbed += 1;
    else this.#skipped += 1;
    if (status === ResultStatus.UNREACHABLE) this.#unreachable += 1;
    this.#options.engine.release(batch);
  }

  /** True if the group is still held where it was, with the members that it had. */
  #stands(batch: Batch): boolean {
    const { clients, groups, store } = this.#options;
    const job = batch.jobs[0]!;
    const client = batch.client!;
    const frame = store.find(client.index, lowWord(job.pageId), highWord(job.pageId));
    if (clients.at(client.index) !== client || frame !== job.slot) return false;
    if (groups.membersOf(frame) !== job.memberCount) return false;
    for (let i = 0; i < job.memberCount; i += 1) {
      groups.member(frame, i, this.#member);
      const { pageId, server, checksum } = job.members[i]!;
      if (this.#member.pageId !== pageId || this.#member.server !== server) return false;
      if (this.#member.checksum !== checksum) return false;
    }
    return true;
  }

  /** A group was found wrong: the first time it is checked again, the second time it counts. */
  #lookAgain(batch: Batch): void {
    const job = batch.jobs[0]!;
    const { attempt } = batch;
    const stands = this.#stands(batch);
    if (stands && attempt > 0) this.#report(batch, job);
    this.#options.engine.release(batch);
    if (!stands) this.#skipped += 1;
    else if (attempt === 0) this.#check(job.slot, 1);
  }

  #report(batch: Batch, job: Job): void {
    const { servers, store, log, tell } = this.#options;
    this.#mismatches += 1;
    const wrong = job.members
      .slice(0, job.memberCount)
      .filter((_, i) => (job.wrongSources & (1 << i)) !== 0)
      .map(({ pageId, server }) => ({ pageId, at: servers.identity(server) }));
    log?.warn("the pages of a parity group do not add up", {
      client: batch.client!.name,
      group: job.pageId,
      wrong:
        wrong.length === 0
          ? "parity page, or its list of members"
          : wrong.map(({ pageId, at }) => `${pageId} at ${at}`).join(", "),
    });
    store.describe(job.slot, batch.client!.index, this.#meta);
    const handle = this.#meta.slotLow;
    // Without a wrong member it is the parity page, which has the group's own id.
    const pageIds = wrong.length === 0 ? [job.pageId] : wrong.map(({ pageId }) => pageId);
    for (const pageId of pageIds) tell(batch.client!, { groupId: job.pageId, pageId, handle });
  }
}
