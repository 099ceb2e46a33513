import type { Notice } from "../../../src/base/log.ts";
import { Prng } from "../../../src/base/prng.ts";
import type { Holder, HolderRole } from "../../../src/placement/holder.ts";
import { IpTable } from "../../../src/placement/ip-table.ts";
import { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { type Operation, OperationKind } from "../../../src/redundancy/operation.ts";
import type { RedundancyPort } from "../../../src/redundancy/redundancy.ts";

const ACCUMULATORS = 4;

/** A client's core around its redundancy, whose links are a set and whose sending is a list of what was asked for. */
export class FakePort implements RedundancyPort {
  readonly table = new IpTable(new Prng(1));
  readonly accumulators: number;
  readonly linked = new Set<number>();
  /** Those whose links have no room. */
  readonly busy = new Set<number>();
  readonly silent = new Set<number>();
  /** Frames for which a holder was asked for a copy. */
  readonly copyReads: { holder: Holder; frame: number; pageId: number }[] = [];
  /** Frames that were given what an accumulator has. */
  readonly accumulatorReads: number[] = [];
  readonly invalidated: string[] = [];
  readonly puts: { accumulator: number; holder: Holder }[] = [];
  readonly operations: { index: number; kind: number; server: Holder; sources: number[]; target?: Holder }[] =
    [];
  readonly lost: number[] = [];
  readonly fills: { accumulator: number; slot: number }[] = [];
  readonly moved: string[] = [];
  readonly notices: string[] = [];
  /** Whether what was read into accumulators is what it should be. */
  holdsPages = true;
  /** Whether pages wait for a memory server that takes them. */
  pagesWait = false;
  readonly #free: number[];
  #pageId = 1000;

  constructor(accumulators = ACCUMULATORS) {
    this.accumulators = accumulators;
    this.#free = Array.from({ length: accumulators }, (_, i) => i);
  }

  /** A server that is linked and has room. */
  serve(name: string, role: HolderRole = "server", free = 100): Holder {
    const holder = this.table.admit(name, name, role);
    this.table.setUp(holder);
    holder.report({ free, limit: 100, used: 100 - free });
    this.linked.add(holder.index);
    return holder;
  }

  /** Its link ends. */
  unlink(holder: Holder): void {
    this.linked.delete(holder.index);
    this.table.setAway(holder);
  }

  get accumulatorsLeft(): number {
    return this.#free.length;
  }

  takeAccumulator(): number {
    return this.#free.pop() ?? -1;
  }

  giveAccumulator(frame: number): void {
    this.#free.push(frame);
  }

  isLinked(holder: number): boolean {
    return this.linked.has(holder);
  }

  takesPages(holder: Holder): boolean {
    return this.linked.has(holder.index) && !this.busy.has(holder.index) && !this.isSilent(holder);
  }

  isSilent(holder: Holder): boolean {
    return this.silent.has(holder.index);
  }

  readCopy(holder: number, frame: number, pageId: number): void {
    this.copyReads.push({ holder: this.table.at(holder), frame, pageId });
  }

  invalidate(holder: number, pageId: number): void {
    this.invalidated.push(`${this.table.at(holder).name}/${pageId}`);
  }

  newPageId(): number {
    this.#pageId += 1;
    return this.#pageId;
  }

  putParity(accumulator: number, holder: Holder): boolean {
    this.puts.push({ accumulator, holder });
    return true;
  }

  operate(server: Holder, operation: Operation): boolean {
    const { index, kind, sourceCount, sourceIds } = operation;
    const target = kind === OperationKind.REBUILD ? { target: this.table.at(operation.target) } : {};
    this.operations.push({ index, kind, server, sources: [...sourceIds.slice(0, sourceCount)], ...target });
    return true;
  }

  pageLost(slot: number): void {
    this.lost.push(slot);
  }

  fill(accumulator: number, slot: number): void {
    this.fills.push({ accumulator, slot });
  }

  holdsPage(): boolean {
    return this.holdsPages;
  }

  pageMoved(slot: number, holder: number, pageId: number): void {
    this.moved.push(`${slot} to ${this.table.at(holder).name}/${pageId}`);
  }

  readAccumulator(_accumulator: number, frame: number): boolean {
    this.accumulatorReads.push(frame);
    return true;
  }

  makePage(): boolean {
    return false;
  }

  accumulate(): void {}
  listLater(): void {}
  describe(): void {}
  recover(): void {}
  readAgain(): void {}
  notice: Notice = (message) => {
    this.notices.push(message);
  };
}

const over = (port: FakePort, mode: "mirror" | "parity", pagesPerSecond = 1_000_000): LoggedRedundancy =>
  new LoggedRedundancy({
    port,
    slots: 64,
    mode,
    groupSize: 2,
    operationsMax: 4,
    lostAfterMs: 1_000,
    retryMs: 100,
    pagesPerSecond,
    reclaimShare: 0.6,
  });

export const parityOver = (port: FakePort, pagesPerSecond?: number): LoggedRedundancy =>
  over(port, "parity", pagesPerSecond);
export const mirrorOver = (port: FakePort): LoggedRedundancy => over(port, "mirror");

export { OperationKind };
