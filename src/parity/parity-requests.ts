import {
  beginPages,
  COMPOSE_BYTES,
  composeSourceCountAt,
  composeSourcesAt,
  type FrameReader,
  FrameType,
  GROUP_BYTES,
  GROUP_MEMBERS_MAX,
  type GroupMember,
  getLostPage,
  getMember,
  getSource,
  groupHandleAt,
  groupIdAt,
  highWord,
  IDENTITY_BYTES,
  type LostPage,
  lowWord,
  META_BYTES,
  type Mismatch,
  memberCountAt,
  PageStatus,
  PeerError,
  putMeta,
  RECOVER_BYTES,
  ResultStatus,
  recoverSourceCountAt,
  recoverSourcesAt,
  SERVER_ENTRY_BYTES,
  type Source,
  WireError,
} from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { OutQueue } from "../base/out-queue.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { FrameTable } from "../client/frame-table.ts";
import { noRoomForAnswers, type RequestHost } from "../server/client-requests.ts";
import type { ClientRecord } from "../server/client-table.ts";
import type { ExtraRequests } from "../server/server-extension.ts";
import type { Engine, Line } from "./engine.ts";
import type { GroupTable } from "./group-table.ts";
import { type Batch, type BatchOwner, BatchQueue, type Job, JobKind } from "./job.ts";
import { MismatchBatch } from "./mismatch-batch.ts";
import type { ParityCounters } from "./parity-counters.ts";
import { ResultBatch } from "./result-batch.ts";
import { ServerIndex } from "./server-index.ts";
import type { ServerTable } from "./server-table.ts";

/** What the requests of a connection need of their parity server. */
export interface ParityHost {
  readonly arena: Arena;
  readonly frames: FrameTable;
  readonly groups: GroupTable;
  readonly servers: ServerTable;
  readonly engine: Engine;
  readonly counters: ParityCounters;
  readonly log: Pick<Log, "warn"> | undefined;
  /** The connections of clients, for what is said without having been asked for. */
  readonly connections: Set<ParityRequests>;
}

/** Frames hold slots below it, which are those of the largest device (limits.deviceBytesMax). */
const SLOT_END = 2 ** 31;

/** The requests about parity groups that come over one connection, and their answers. */
export class ParityRequests implements ExtraRequests, BatchOwner, Line {
  readonly urgent = new BatchQueue();
  readonly ordinary = new BatchQueue();
  urgentListed = false;
  ordinaryListed = false;
  readonly #host: ParityHost;
  readonly #server: RequestHost;
  readonly client: ClientRecord;
  readonly #out: OutQueue;
  readonly #touch: () => void;
  readonly #index: ServerIndex;
  readonly #results = new ResultBatch();
  readonly #mismatches = new MismatchBatch();
  /** Batches under way. */
  readonly #running = new Set<Batch>();
  /** Batches of RECOVER whose answer is to be written. */
  readonly #recovered = new BatchQueue();
  /** Entries taken and not answered: of RECOVER, and others. */
  #recovers = 0;
  #others = 0;
  readonly #member: GroupMember = { pageId: 0, checksum: 0, server: 0 };
  readonly #members: GroupMember[] = [];
  readonly #source: Source = { pageId: 0, server: 0 };
  readonly #page: LostPage = { pageId: 0, slot: 0, checksum: 0, newPageId: 0, target: 0 };

  constructor(host: ParityHost, server: RequestHost, client: ClientRecord, out: OutQueue, touch: () => void) {
    this.#host = host;
    this.#server = server;
    this.client = client;
    this.#out = out;
    this.#touch = touch;
    this.#index = new ServerIndex(host.servers);
    host.connections.add(this);
    for (let i = 0; i < GROUP_MEMBERS_MAX; i += 1) this.#members.push({ pageId: 0, checksum: 0, server: 0 });
  }

  takes(type: number): boolean {
    return (
      type === FrameType.GROUPS ||
      type === FrameType.SERVERS ||
      type === FrameType.COMPOSE ||
      type === FrameType.REBUILD ||
      type === FrameType.RECOVER
    );
  }

  /** Only what is owed already makes a request wait, so that the answer to it brings the request back. */
  admits(reader: FrameReader): boolean {
    if (reader.type === FrameType.GROUPS || reader.type === FrameType.SERVERS) return true;
    const recover = reader.type === FrameType.RECOVER;
    const owed = recover ? this.#recovers : this.#others;
    const most = recover ? limits.parityRecoversPerConnectionMax : limits.parityJobsPerConnectionMax;
    if (owed === 0) return true;
    return owed + reader.count <= most && this.#host.engine.waiting < limits.parityJobsMax;
  }

  end(reader: FrameReader): void {
    switch (reader.type) {
      case FrameType.SERVERS:
        return this.#takeServers(reader);
      case FrameType.GROUPS:
        return this.#takeGroups(reader);
      case FrameType.COMPOSE:
        return this.#takeComposes(reader);
      case FrameType.REBUILD:
        return this.#takeRebuilds(reader);
      default:
        return this.#takeRecovers(reader);
    }
  }

  #takeServers(reader: FrameReader): void {
    for (let i = 0; i < reader.count; i += 1) {
      const at = i * SERVER_ENTRY_BYTES;
      const index = reader.body.getUint16(at, true);
      this.#index.define(index, reader.bodyRaw.subarray(at + 8, at + 8 + IDENTITY_BYTES));
    }
  }

  /** Members of groups whose parity pages were put; of a group that is not held nothing is kept. */
  #takeGroups(reader: FrameReader): void {
    const { store } = this.#server;
    for (let i = 0; i < reader.count; i += 1) {
      const at = i * GROUP_BYTES;
      const count = this.#readMembers(reader, at, this.#members);
      const groupId = groupIdAt(reader.body, at);
      const frame = store.find(this.client.index, lowWord(groupId), highWord(groupId));
      if (frame >= 0) {
        this.#host.groups.set(frame, this.#members, count);
        store.reslot(frame, groupHandleAt(reader.body, at), 0);
      }
      for (let m = 0; m < count; m += 1) this.#host.servers.release(this.#members[m]!.server);
    }
  }

  /** Reads the members of the descriptor at `at`, whose servers it holds; returns how many. */
  #readMembers(reader: FrameReader, at: number, into: GroupMember[]): number {
    const count = memberCountAt(reader.body, at);
    for (let i = 0; i < count; i += 1) {
      getMember(reader.body, at, i, this.#member);
      const member = into[i]!;
      member.pageId = this.#member.pageId;
      member.checksum = this.#member.checksum;
      member.server = this.#index.hold(this.#member.server);
    }
    return count;
  }

  #readSources(reader: FrameReader, job: Job, at: number, count: number): void {
    for (let i = 0; i < count; i += 1) {
      getSource(reader.body, at, i, this.#source);
      job.addSource(this.#source.pageId, this.#index.holdSource(this.#source.server));
    }
  }

  #newBatch(kind: JobKind, reader: FrameReader, index: number): Batch {
    const batch = this.#host.engine.newBatch(kind, this, this.client);
    batch.seq = reader.seq;
    batch.index = index;
    return batch;
  }

  #enqueue(batch: Batch): void {
    if (batch.kind === JobKind.RECOVER) this.#recovers += batch.count;
    else this.#others += batch.count;
    this.#running.add(batch);
    this.#host.engine.enqueue(this, batch);
  }

  #takeComposes(reader: FrameReader): void {
    for (let i = 0; i < reader.count; i += 1) {
      const at = i * COMPOSE_BYTES;
      const batch = this.#newBatch(JobKind.COMPOSE, reader, i);
      const job = batch.add();
      job.pageId = groupIdAt(reader.body, at);
      job.slot = groupHandleAt(reader.body, at);
      job.memberCount = this.#readMembers(reader, at, job.members);
      const sources = composeSourceCountAt(reader.body, at);
      this.#readSources(reader, job, composeSourcesAt(at), sources);
      this.#enqueue(batch);
    }
  }

  #takeRebuilds(reader: FrameReader): void {
    for (let i = 0; i < reader.count; i += 1) {
      const batch = this.#newBatch(JobKind.REBUILD, reader, i);
      const job = batch.add();
      this.#readLost(reader, job, i);
      job.newPageId = this.#page.newPageId;
      job.target = this.#index.hold(this.#page.target);
      this.#enqueue(batch);
    }
  }

  #takeRecovers(reader: FrameReader): void {
    const batch = this.#newBatch(JobKind.RECOVER, reader, 0);
    for (let i = 0; i < reader.count; i += 1) this.#readLost(reader, batch.add(), i);
    this.#enqueue(batch);
  }

  #readLost(reader: FrameReader, job: Job, i: number): void {
    const at = i * RECOVER_BYTES;
    getLostPage(reader.body, at, this.#page);
    if (reader.type === FrameType.REBUILD && this.#page.slot >= SLOT_END) {
      throw new PeerError(WireError.PROTOCOL, `REBUILD: slot ${this.#page.slot}, accepted is less than 2^31`);
    }
    job.pageId = this.#page.pageId;
    job.slot = this.#page.slot;
    job.checksum = this.#page.checksum;
    const sources = recoverSourceCountAt(reader.body, at);
    this.#readSources(reader, job, recoverSourcesAt(at), sources);
  }

  /** BatchOwner: all jobs of the batch are settled. */
  settled(batch: Batch): void {
    if (batch.kind === JobKind.RECOVER) this.#recovered.push(batch);
    else {
      const job = batch.jobs[0]!;
      this.#count(job);
      this.#others -= 1;
      const rebuilt = batch.kind === JobKind.REBUILD && job.status === ResultStatus.OK;
      this.#results.add(batch.seq, batch.index, job.status, rebuilt ? job.checksum : 0);
      this.#running.delete(batch);
      this.#host.engine.release(batch);
    }
    this.#touch();
  }

  #count(job: Job): void {
    const { counters, log } = this.#host;
    const { kind } = job.batch;
    if (job.status === ResultStatus.OK) {
      if (kind === JobKind.RECOVER) counters.recovered += 1;
      else if (kind === JobKind.COMPOSE) counters.composed += 1;
      else counters.rebuilt += 1;
    } else if (job.status === ResultStatus.FULL) counters.full += 1;
    else if (job.status === ResultStatus.UNREACHABLE) counters.unreachable += 1;
    else if (job.status === ResultStatus.MISSING) counters.missing += 1;
    else {
      counters.wrong += 1;
      const fields = { client: this.client.name, page: job.pageId };
      log?.warn("what was computed from a parity group is not the page", fields);
    }
  }

  /** The client is told, if there is room for it. */
  mismatch(mismatch: Readonly<Mismatch>): void {
    this.#mismatches.add(mismatch);
    this.#touch();
  }

  flush(): void {
    // A client that does not read is told no more than it has not read yet.
    if (this.#mismatches.length > 0 && this.#out.queuedBytes === 0) this.#mismatches.writeTo(this.#out);
    this.#results.writeTo(this.#out, this.#server.capacity);
    for (let batch = this.#recovered.head; batch !== undefined; batch = this.#recovered.head) {
      if (!this.#server.answerFits) throw noRoomForAnswers();
      this.#writePages(batch);
      this.#recovered.shift();
      this.#recovers -= batch.count;
      this.#running.delete(batch);
      this.#host.engine.release(batch);
    }
  }

  #writePages(batch: Batch): void {
    const { arena, frames } = this.#host;
    const out = this.#out;
    const { count, jobs } = batch;
    let found = 0;
    for (let i = 0; i < count; i += 1) {
      this.#count(jobs[i]!);
      if (jobs[i]!.status === ResultStatus.OK) found += 1;
    }
    let at = beginPages(out, count, found, batch.seq);
    for (let i = 0; i < count; i += 1, at += META_BYTES) {
      const { pageId, slot, checksum, status } = jobs[i]!;
      if (status === ResultStatus.OK) putMeta(out.view, at, pageId, slot, checksum, PageStatus.OK);
      else putMeta(out.view, at, pageId, 0, 0, PageStatus.MISSING);
    }
    for (let i = 0; i < count; i += 1) {
      if (jobs[i]!.status !== ResultStatus.OK) continue;
      const from = frames.address(jobs[i]!.frame);
      const to = out.reserve(PAGE_BYTES);
      out.bytes.set(arena.bytes.subarray(from, from + PAGE_BYTES), to);
    }
  }

  abort(): void {
    const { connections, engine, counters } = this.#host;
    for (const batch of this.#running) {
      counters.dropped += batch.count;
      if (batch.started) engine.release(batch);
    }
    this.#running.clear();
    connections.delete(this);
    engine.forget(this);
    this.#index.clear();
  }
}
