import {
  COMPOSE_SOURCES_MAX,
  GROUP_MEMBERS_MAX,
  type GroupMember,
  OWN_STORE,
  ResultStatus,
} from "../../proto/peer/index.ts";
import { NO_FRAME } from "../client/frame-table.ts";
import type { ClientRecord } from "../server/client-table.ts";
import { NO_SERVER, type ServerTable } from "./server-table.ts";

export const JobKind = { RECOVER: 0, COMPOSE: 1, REBUILD: 2, SCRUB: 3 } as const;
export type JobKind = (typeof JobKind)[keyof typeof JobKind];

/** One page to be computed: sources -> XOR -> where its kind says. Numbers of servers are held by the job. */
export class Job {
  readonly batch: Batch;
  /** RECOVER, REBUILD: the page. COMPOSE, SCRUB: the group. */
  pageId = 0;
  /** RECOVER, REBUILD: the page's slot. COMPOSE: the client's handle. SCRUB: the store frame of the parity page. */
  slot = 0;
  /** RECOVER, REBUILD: what the page's checksum is; REBUILD, once done: that under the new id. */
  checksum = 0;
  newPageId = 0;
  target = NO_SERVER;
  sources = 0;
  readonly sourceIds = new Float64Array(COMPOSE_SOURCES_MAX);
  /** Numbers of servers, or OWN_STORE. */
  readonly sourceServers = new Uint16Array(COMPOSE_SOURCES_MAX);
  memberCount = 0;
  readonly members: GroupMember[] = Array.from({ length: GROUP_MEMBERS_MAX }, () => ({
    pageId: 0,
    checksum: 0,
    server: NO_SERVER,
  }));

  /** Work frame that the sources are XORed into; NO_FRAME before and after. */
  frame = NO_FRAME;
  /** Work frames that are on their way for it, and one while it is being started. */
  outstanding = 0;
  settled = false;
  status: ResultStatus = ResultStatus.OK;
  /** A bit for each member whose bytes did not have the checksum they should, and one for all other sources. */
  wrongSources = 0;

  constructor(batch: Batch) {
    this.batch = batch;
  }

  /** Work frames that it needs: one to compute in, one for each source of a memory server. */
  get framesNeeded(): number {
    let needed = 1;
    for (let i = 0; i < this.sources; i += 1) if (this.sourceServers[i] !== OWN_STORE) needed += 1;
    return needed;
  }

  /** Makes it ready to be filled. */
  reset(): void {
    this.sources = 0;
    this.memberCount = 0;
    this.target = NO_SERVER;
    this.frame = NO_FRAME;
    this.outstanding = 0;
    this.settled = false;
    this.status = ResultStatus.OK;
    this.wrongSources = 0;
  }

  addSource(pageId: number, server: number): void {
    this.sourceIds[this.sources] = pageId;
    this.sourceServers[this.sources] = server;
    this.sources += 1;
  }

  /** Lets go of the servers that it names. */
  releaseServers(servers: ServerTable): void {
    for (let i = 0; i < this.sources; i += 1) {
      if (this.sourceServers[i] !== OWN_STORE) servers.release(this.sourceServers[i]!);
    }
    for (let i = 0; i < this.memberCount; i += 1) servers.release(this.members[i]!.server);
    servers.release(this.target);
  }
}

/** Who a batch belongs to: it is told when all its jobs are settled, and gives the batch back then. */
export interface BatchOwner {
  settled(batch: Batch): void;
}

/** Jobs that are begun and answered together: the entries of a RECOVER, one entry of COMPOSE or REBUILD, a scrub. */
export class Batch {
  kind: JobKind = JobKind.SCRUB;
  owner: BatchOwner | undefined;
  client: ClientRecord | undefined;
  seq = 0;
  /** Index of the first job's entry in its request. */
  index = 0;
  count = 0;
  readonly jobs: Job[] = [];
  unsettled = 0;
  /** Work frames on their way for its jobs. */
  outstanding = 0;
  /** True once it has left its line. */
  started = false;
  /** True once the owner needs it no more. */
  released = false;
  /** How often a scrub has found the group wrong. */
  attempt = 0;
  /** The next one of the line. */
  next: Batch | undefined;

  get framesNeeded(): number {
    let needed = 0;
    for (let i = 0; i < this.count; i += 1) needed += this.jobs[i]!.framesNeeded;
    return needed;
  }

  /** Adds a job, to be filled by the caller. */
  add(): Job {
    const job = this.jobs[this.count] ?? new Job(this);
    this.jobs[this.count] = job;
    this.count += 1;
    job.reset();
    return job;
  }
}

/** First in, first out. */
export class BatchQueue {
  #head: Batch | undefined;
  #tail: Batch | undefined;

  get head(): Batch | undefined {
    return this.#head;
  }

  push(batch: Batch): void {
    batch.next = undefined;
    if (this.#tail === undefined) this.#head = batch;
    else this.#tail.next = batch;
    this.#tail = batch;
  }

  shift(): Batch | undefined {
    const batch = this.#head;
    this.#head = batch?.next;
    if (this.#head === undefined) this.#tail = undefined;
    return batch;
  }
}
