import assert from "node:assert";
import { type ControlTiming, controlLimits } from "../base/control-limits.ts";
import { InvalidRecordError } from "../base/foreign-fields.ts";
import type { Log } from "../base/log.ts";
import type { Prng } from "../base/prng.ts";
import { Doubles } from "./doubles.ts";
import { ForgottenNodes } from "./forgotten-nodes.ts";
import type { GoneReason, MembershipPort } from "./membership-port.ts";
import type { ClientFigures, FrameCounts, NodeRecord, ScrubFigures, SelfState } from "./node-record.ts";
import { parseNodeRecord } from "./parse-record.ts";
import { isSameAddress, sameButHeartbeat, sortKey } from "./record-comparison.ts";
import { parseStatusDocument, type SeenState } from "./status-document.ts";
import { Tombstones } from "./tombstones.ts";

export type TableTiming = Pick<
  ControlTiming,
  "heartbeatMs" | "suspectMs" | "downMs" | "removeMs" | "leftGossipMs" | "tombstoneMs"
>;

export interface PeerTableOptions {
  readonly self: NodeRecord;
  readonly prng: Prng;
  readonly port: MembershipPort;
  readonly timing: TableTiming;
  readonly log: Log;
  /** Most nodes held, this one included; default from the limits. */
  readonly nodesMax?: number;
}

/** What a merge did, for logs and tests. */
export interface MergeResult {
  /** Records that were newer than what was known. */
  readonly taken: number;
  /** Records refused because they were malformed or because the table is full. */
  readonly refused: number;
  /** What was wrong with the first refused record. */
  readonly problem: string | null;
}

/** A node as this one sees it. */
export interface SeenNode {
  readonly record: NodeRecord;
  readonly state: SeenState;
}

type Health = "up" | "suspect" | "down";

interface Entry {
  record: NodeRecord;
  health: Health;
  readonly admittedAtMs: number;
  heardAtMs: number;
  twinWarned: boolean;
}

/**
 * What a node knows of all nodes: its own record and those it heard of. Sans-IO: it is told of foreign tables and
 * of the time, and tells its port who comes, changes and goes. Nothing foreign makes it grow beyond its bounds.
 *
 *     unknown --heard--> up --silent--> suspect --silent--> down --silent--> forgotten
 *                         ^---------------heard--------------'
 *     any --newer process at its address--> superseded        any --own last word--> left
 */
export class PeerTable {
  #self: NodeRecord;
  readonly #entries = new Map<string, Entry>();
  readonly #left = new Map<string, { record: NodeRecord; untilMs: number }>();
  readonly #graves: Tombstones;
  readonly #forgotten = new ForgottenNodes(controlLimits.forgottenNodesMax);
  readonly #doubles: Doubles;
  readonly #nodesMax: number;
  readonly #timing: TableTiming;
  readonly #prng: Prng;
  readonly #port: MembershipPort;
  readonly #log: Log;
  #tickedAtMs: number | null = null;

  constructor(options: PeerTableOptions) {
    this.#self = options.self;
    this.#prng = options.prng;
    this.#port = options.port;
    this.#log = options.log;
    this.#timing = options.timing;
    this.#nodesMax = options.nodesMax ?? controlLimits.nodesMax;
    this.#doubles = new Doubles(options.timing.downMs);
    this.#graves = new Tombstones(controlLimits.tombstonesMax, options.timing.tombstoneMs);
    assert(
      options.timing.suspectMs < options.timing.downMs && options.timing.downMs < options.timing.removeMs,
    );
  }

  get self(): NodeRecord {
    return this.#self;
  }

  /** A heartbeat of this node with its present addresses and figures. */
  beat(now: {
    data: string | null;
    control: string;
    state: SelfState;
    frames: FrameCounts;
    client?: ClientFigures | undefined;
    scrub?: ScrubFigures | undefined;
  }): void {
    const { identity, name, role, generation, heartbeat, pid } = this.#self;
    this.#self = {
      ...{ identity, name, role, generation, heartbeat: heartbeat + 1, pid },
      ...{ data: now.data, control: now.control, state: now.state, frames: now.frames },
      ...(now.client === undefined ? {} : { client: now.client }),
      ...(now.scrub === undefined ? {} : { scrub: now.scrub }),
    };
  }

  /** Takes in a foreign table, which may be anything at all. @param nowMs a clock that never goes back */
  merge(foreign: unknown, nowMs: number): MergeResult {
    if (!Array.isArray(foreign) || foreign.length > controlLimits.nodesMax + controlLimits.leftNodesMax) {
      return { taken: 0, refused: 1, problem: "the table is not a list of a bearable length" };
    }
    let taken = 0;
    let refused = 0;
    let problem: string | null = null;
    for (const value of foreign) {
      try {
        if (this.#take(parseNodeRecord(value), nowMs)) taken++;
      } catch (error) {
        if (!(error instanceof InvalidRecordError)) throw error;
        refused++;
        problem ??= error.message;
      }
    }
    return { taken, refused, problem };
  }

  /** Lets time pass: nodes that were not heard of become suspect, down and forgotten. */
  tick(nowMs: number): void {
    this.#forgiveOwnPause(nowMs);
    for (const entry of [...this.#entries.values()]) this.#age(entry, nowMs);
    for (const entry of [...this.#entries.values()]) this.#judgeTwins(entry, nowMs);
    for (const [identity, left] of this.#left) if (nowMs >= left.untilMs) this.#left.delete(identity);
    this.#graves.tick(nowMs);
  }

  /** The table to tell others: this node, those not taken for down, those that left lately. */
  toGossip(): NodeRecord[] {
    const records = [this.#self];
    for (const entry of this.#entries.values()) if (entry.health !== "down") records.push(entry.record);
    for (const left of this.#left.values()) records.push(left.record);
    return records;
  }

  /**
   * Up to `count` nodes to exchange tables with, chosen at random; now and then one that is taken for down, or was
   * forgotten.
   */
  gossipTargets(count: number): NodeRecord[] {
    const unlikely: NodeRecord[] = [...this.#forgotten.records];
    for (const entry of this.#entries.values()) if (entry.health === "down") unlikely.push(entry.record);
    if (unlikely.length === 0 || !this.#prng.chance(0.125)) return this.farewellTargets(count);
    const one = unlikely[this.#prng.below(unlikely.length)];
    return [one, ...this.farewellTargets(count - 1)];
  }

  /** Up to `count` nodes to tell of this one's end, at random: who leaves does not wait for those that are silent. */
  farewellTargets(count: number): NodeRecord[] {
    const likely: NodeRecord[] = [];
    for (const entry of this.#entries.values()) if (entry.health !== "down") likely.push(entry.record);
    const chosen: NodeRecord[] = [];
    while (chosen.length < count && likely.length > 0) {
      const at = this.#prng.below(likely.length);
      chosen.push(likely[at]);
      likely[at] = likely[likely.length - 1];
      likely.pop();
    }
    return chosen;
  }

  isForgotten(identity: string): boolean {
    return this.#forgotten.has(identity);
  }

  /** Whether a foreign status is told by a node of this name, as by one that was restarted. */
  isStatusOf({ name, role }: NodeRecord, document: unknown): boolean {
    try {
      const { self, nodes } = parseStatusDocument(document);
      return self === name && nodes[0]?.role === role;
    } catch (error) {
      if (error instanceof InvalidRecordError) return false;
      throw error;
    }
  }

  /** At this address answers who is none of the cluster: a node that was forgotten there is not looked for. */
  strangerAt(control: string): void {
    this.#forgotten.strangerAt(control);
  }

  /** Every known node, this one first, the rest by role, name and identity. */
  nodes(): SeenNode[] {
    const others = [...this.#entries.values()].map((entry) => ({
      record: entry.record,
      state: seenState(entry.record, entry.health),
    }));
    others.sort((a, b) => (sortKey(a.record) < sortKey(b.record) ? -1 : 1));
    return [{ record: this.#self, state: seenState(this.#self, "up") }, ...others];
  }

  /** Whether a node of this identity is known and not taken for down. */
  isPresent(identity: string): boolean {
    const entry = this.#entries.get(identity);
    return entry !== undefined && entry.health !== "down";
  }

  /** Takes one valid record; true when it was news. */
  #take(record: NodeRecord, nowMs: number): boolean {
    const { identity } = record;
    if (identity === this.#self.identity || this.#graves.covers(identity, record.heartbeat)) return false;
    const entry = this.#entries.get(identity);
    if (entry && record.heartbeat <= entry.record.heartbeat) return false;
    if (record.state === "left") {
      this.#takeLeaving(record, entry, nowMs);
      return true;
    }
    if (entry) {
      this.#refresh(entry, record, nowMs);
      return true;
    }
    return this.#admit(record, nowMs);
  }

  #refresh(entry: Entry, record: NodeRecord, nowMs: number): void {
    const before = entry.record;
    const wasDown = entry.health === "down";
    entry.record = record;
    entry.heardAtMs = nowMs;
    entry.health = "up";
    if (wasDown) this.#port.nodeUp(record);
    else if (!sameButHeartbeat(before, record)) this.#port.nodeChanged(record);
  }

  #admit(record: NodeRecord, nowMs: number): boolean {
    if (isSameAddress(this.#self, record)) {
      this.#graves.bury(record.identity, record.heartbeat, nowMs);
      if (this.#doubles.heard(nowMs)) this.#warnOfDouble(record);
      return false;
    }
    for (const entry of [...this.#entries.values()]) {
      if (!isSameAddress(entry.record, record)) continue;
      // One address, one process: either the newcomer replaced this one, or it is late news of a predecessor. The
      // start time tells, unless a clock went back; then that the other has fallen silent does.
      if (record.generation > entry.record.generation || entry.health !== "up") {
        this.#remove(entry, "superseded", nowMs);
      } else {
        this.#graves.bury(record.identity, record.heartbeat, nowMs);
        return false;
      }
    }
    if (this.#entries.size >= this.#nodesMax - 1 && !this.#evictOneDown(nowMs)) {
      throw new InvalidRecordError(`the table is full: it holds at most ${this.#nodesMax} nodes`);
    }
    this.#graves.raise(record.identity);
    this.#forgotten.heard(record);
    const entry: Entry = { record, health: "up", admittedAtMs: nowMs, heardAtMs: nowMs, twinWarned: false };
    this.#entries.set(record.identity, entry);
    this.#port.nodeUp(record);
    return true;
  }

  #warnOfDouble({ name, control, data }: NodeRecord): void {
    this.#log.warn(
      "another live node tells this node's name and addresses, and the two do not see each other; " +
        "give each its own with --name, and with --listen and --control one that others reach",
      { node: name, control, data },
    );
  }

  #takeLeaving(record: NodeRecord, entry: Entry | undefined, nowMs: number): void {
    if (entry) this.#remove(entry, "left", nowMs, record);
    this.#forgotten.heard(record);
    this.#graves.bury(record.identity, Number.POSITIVE_INFINITY, nowMs);
    if (this.#left.size < controlLimits.leftNodesMax) {
      this.#left.set(record.identity, { record, untilMs: nowMs + this.#timing.leftGossipMs });
    }
  }

  #age(entry: Entry, nowMs: number): void {
    const silentMs = nowMs - entry.heardAtMs;
    if (silentMs >= this.#timing.removeMs) {
      this.#remove(entry, "down", nowMs);
      this.#forgotten.add(entry.record);
    } else if (silentMs >= this.#timing.downMs) {
      if (entry.health === "down") return;
      entry.health = "down";
      this.#port.nodeGone(entry.record, "down");
    } else if (silentMs >= this.#timing.suspectMs) {
      entry.health = "suspect";
    }
  }

  /** A silent node whose name a living, younger process of the same role bears makes place for it in the table. */
  #judgeTwins(entry: Entry, nowMs: number): void {
    const { record } = entry;
    for (const other of this.#namesakes(entry)) {
      if (entry.health !== "up") {
        if (
          other.role === record.role &&
          other.generation > record.generation &&
          this.#entries.has(record.identity)
        ) {
          // A name proves nothing of the other process: it is silent, no more. (Another process at its address would.)
          this.#remove(entry, "down", nowMs);
        }
      } else if (!entry.twinWarned && nowMs - entry.admittedAtMs > this.#timing.suspectMs * 2) {
        entry.twinWarned = true;
        this.#log.warn("two live nodes have the same name; give each its own with --name", {
          node: record.name,
          control: record.control,
          otherControl: other.control,
        });
      }
    }
  }

  *#namesakes(entry: Entry): Generator<NodeRecord> {
    if (this.#self.name === entry.record.name) yield this.#self;
    for (const other of this.#entries.values()) {
      if (other !== entry && other.record.name === entry.record.name && other.health === "up")
        yield other.record;
    }
  }

  /** The one place where an entry ends. `down` was told when the node went down, the others are told here. */
  #remove(entry: Entry, why: GoneReason, nowMs: number, last: NodeRecord = entry.record): void {
    this.#entries.delete(entry.record.identity);
    this.#graves.bury(entry.record.identity, last.heartbeat, nowMs);
    if (entry.health !== "down") this.#port.nodeGone(last, why);
  }

  #evictOneDown(nowMs: number): boolean {
    let oldest: Entry | null = null;
    for (const entry of this.#entries.values()) {
      if (entry.health === "down" && (oldest === null || entry.heardAtMs < oldest.heardAtMs)) oldest = entry;
    }
    if (oldest) this.#remove(oldest, "down", nowMs);
    return oldest !== null;
  }

  /** If this process itself stood still, the others' silence is its own doing and does not count against them. */
  #forgiveOwnPause(nowMs: number): void {
    const sinceMs = this.#tickedAtMs === null ? 0 : nowMs - this.#tickedAtMs;
    this.#tickedAtMs = nowMs;
    const pausedMs = sinceMs - 2 * this.#timing.heartbeatMs;
    if (pausedMs <= 0) return;
    for (const entry of this.#entries.values()) entry.heardAtMs = Math.min(nowMs, entry.heardAtMs + pausedMs);
  }
}

function seenState(record: NodeRecord, health: Health): SeenState {
  if (health !== "up") return health;
  return record.state === "draining" ? "draining" : "up";
}
