import { OWN_STORE, ResultStatus } from "../../proto/peer/index.ts";
import type { Holder } from "../placement/holder.ts";
import { type GroupTable, NONE } from "./group-table.ts";
import { type Operation, OperationKind } from "./operation.ts";
import type { RedundancyPort } from "./redundancy.ts";
import { Suspicions } from "./suspicions.ts";

/**
 * Which memory servers a parity server does not reach, although the client reaches both, by what became of operations.
 * One that failed does not say which of the servers that it needed was out of reach: all of them are under suspicion
 * until one that needs them succeeds. Whether a page can be put somewhere is told apart from that: its target is the
 * only one that can be another next time.
 */
export class Reach {
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  readonly #sources = new Suspicions();
  readonly #targets = new Suspicions();

  constructor(groups: GroupTable, port: RedundancyPort) {
    this.#groups = groups;
    this.#port = port;
  }

  set nowMs(nowMs: number) {
    this.#sources.nowMs = nowMs;
    this.#targets.nowMs = nowMs;
  }

  /** The operation has ended like this. */
  ended(operation: Operation, status: number): void {
    const { kind, sourceHolders, sourceCount } = operation;
    const hasFailed = status === ResultStatus.UNREACHABLE;
    const server = this.#rowOf(operation.server);
    if (server === undefined || (hasFailed ? !this.#allUp(operation) : status !== ResultStatus.OK)) return;
    const isRebuild = kind === OperationKind.REBUILD;
    const alone = !isRebuild && sourceCount === 1;
    for (let i = 0; i < sourceCount; i += 1) {
      this.#note(server, sourceHolders[i]!, hasFailed, this.#sources, alone);
    }
    if (isRebuild) this.#note(server, operation.target, hasFailed, this.#targets);
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

  #note(server: Holder, index: number, hasFailed: boolean, as: Suspicions, alone = false): void {
    const holder = index === OWN_STORE ? undefined : this.#rowOf(index);
    if (holder === undefined) return;
    if (hasFailed) return as.failed(server, holder, alone);
    this.#sources.succeeded(server, holder);
    this.#targets.succeeded(server, holder);
  }

  /** True if nothing has failed that needed this target, or that server for anything, and not succeeded since. */
  isClear(server: Holder, target: Holder): boolean {
    return !this.#sources.has(server, target) && !this.#targets.has(server, target);
  }

  /** True if it has failed for some time to put pages there. */
  isBadTarget(server: Holder, target: Holder): boolean {
    return this.#targets.isSureOf(server, target);
  }

  /** True unless that has just failed again. */
  mayBeTarget(server: Holder, target: Holder): boolean {
    return !this.#targets.isOut(server, target);
  }

  /** True if nothing that needs the servers of the group's pages has failed at this one. */
  isClearFor(server: Holder, group: number): boolean {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1)
      if (this.#sources.has(server, this.#port.table.at(groups.holder[m]!))) return false;
    return true;
  }

  /** True if a parity of the group's pages alone is not to be tried at this one for now. */
  isOutForParityOf(server: Holder, group: number): boolean {
    const groups = this.#groups;
    if (groups.count[group] !== 1) return this.isOutFor(server, group, NONE);
    return this.#sources.isOutAlone(server, this.#port.table.at(groups.holder[groups.first(group)]!));
  }

  /** True if something that needs the servers of the group's pages, but this member's, would fail at this one. */
  isOutFor(server: Holder, group: number, but: number): boolean {
    const groups = this.#groups;
    for (let m = groups.first(group); m < groups.last(group); m += 1)
      if (m !== but && this.#sources.isOut(server, this.#port.table.at(groups.holder[m]!))) return true;
    return false;
  }
}
