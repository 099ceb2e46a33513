import { OWN_STORE, ResultStatus } from "../../proto/peer/index.ts";
import type { Holder } from "../placement/holder.ts";
import type { GroupTable } from "./group-table.ts";
import { type Operation, OperationKind } from "./operation.ts";
import type { RedundancyPort } from "./redundancy.ts";

/** What fails for so long fails for more than one link that had to be made anew. */
const SURE_MS = 1_500;
/** What is out of reach is tried again after so long … */
const RETRY_MS = 5_000;
/** … and what was not tried meanwhile is under no suspicion any more after so long. */
const FORGOTTEN_MS = 60_000;

/** Operations of a parity server failed that needed a memory server, and none has succeeded since. */
interface Failing {
  sinceMs: number;
  lastMs: number;
}

/**
 * Which memory servers a parity server does not reach, although the client reaches both, by what became of operations.
 * One that failed does not say which of the servers that it needed was out of reach: all of them are under suspicion
 * until one that needs them succeeds.
 */
export class Reach {
  nowMs = 0;
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  readonly #failing = new WeakMap<Holder, WeakMap<Holder, Failing>>();

  constructor(groups: GroupTable, port: RedundancyPort) {
    this.#groups = groups;
    this.#port = port;
  }

  /** The operation has ended like this. */
  ended(operation: Operation, status: number): void {
    const { kind, server, target, sourceHolders, sourceCount } = operation;
    if (status === ResultStatus.UNREACHABLE && !this.#allUp(operation)) return;
    for (let i = 0; i < sourceCount; i += 1) this.#note(server, sourceHolders[i]!, status);
    if (kind === OperationKind.REBUILD) this.#note(server, target, status);
  }

  /** The client has links to all that the operation needs. */
  #allUp({ kind, server, target, sourceHolders, sourceCount }: Operation): boolean {
    let up = this.#isUp(server) && (kind !== OperationKind.REBUILD || this.#isUp(target));
    for (let i = 0; i < sourceCount; i += 1) up &&= this.#isUp(sourceHolders[i]!);
    return up;
  }

  #isUp(index: number): boolean {
    return index === OWN_STORE || this.#rowOf(index)?.state === "up";
  }

  /** The row of a source that is known to be gone may be free by now. */
  #rowOf(index: number): Holder | undefined {
    return this.#port.table.at(index);
  }

  #note(serverIndex: number, index: number, status: number): void {
    const server = this.#rowOf(serverIndex);
    const holder = index === OWN_STORE ? undefined : this.#rowOf(index);
    if (server === undefined || holder === undefined) return;
    const failing = this.#failingOf(server, holder);
    if (status === ResultStatus.OK) {
      if (failing !== undefined) this.#failing.get(server)!.delete(holder);
    } else if (status === ResultStatus.UNREACHABLE) {
      if (failing === undefined) this.#suspect(server, holder);
      else failing.lastMs = this.nowMs;
    }
  }

  #suspect(server: Holder, holder: Holder): void {
    const all = this.#failing.get(server) ?? new WeakMap<Holder, Failing>();
    all.set(holder, { sinceMs: this.nowMs, lastMs: this.nowMs });
    this.#failing.set(server, all);
  }

  #failingOf(server: Holder, holder: Holder): Failing | undefined {
    const failing = this.#failing.get(server)?.get(holder);
    return failing !== undefined && this.nowMs - failing.lastMs < FORGOTTEN_MS ? failing : undefined;
  }

  /** True unless what needed both has failed, and not succeeded since. */
  isClear(server: Holder, holder: Holder): boolean {
    return this.#failingOf(server, holder) === undefined;
  }

  /** True if what needs both would fail now, as far as known. */
  #isOut(server: Holder, holder: Holder): boolean {
    const failing = this.#failingOf(server, holder);
    if (failing === undefined || failing.lastMs - failing.sinceMs < SURE_MS) return false;
    return this.nowMs - failing.lastMs < RETRY_MS;
  }

  /** True if nothing that needs the servers of the group's pages has failed at this one. */
  isClearFor(server: Holder, group: number): boolean {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1)
      if (!this.isClear(server, this.#port.table.at(groups.holder[m]!))) return false;
    return true;
  }

  /** True if something that needs the servers of the group's pages, but this member's, would fail at this one. */
  isOutFor(server: Holder, group: number, but: number): boolean {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1)
      if (m !== but && this.#isOut(server, this.#port.table.at(groups.holder[m]!))) return true;
    return false;
  }
}
