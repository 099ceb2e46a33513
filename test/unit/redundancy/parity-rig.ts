import type { Holder } from "../../../src/placement/holder.ts";
import type { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { FakePort, parityOver } from "./fake-port.ts";

interface ParityRigOptions {
  readonly accumulators?: number;
  readonly pagesPerSecond?: number;
}

/** The redundancy of a client with parity in groups of two, and what befalls its pages and servers. */
export class ParityRig {
  readonly port: FakePort;
  readonly redundancy: LoggedRedundancy;

  constructor({ accumulators, pagesPerSecond }: ParityRigOptions = {}) {
    this.port = new FakePort(accumulators);
    this.redundancy = parityOver(this.port, pagesPerSecond);
  }

  /** Memory servers, and the parity server p. */
  serve(...names: string[]): void {
    for (const name of names) this.port.serve(name);
    this.port.serve("p", "parity");
  }

  server(name: string): Holder {
    return this.port.table.byIdentity(name)!;
  }

  /** A server has the page of this slot, which is number 100 + slot. */
  hold(slot: number, server: string): void {
    this.redundancy.pageHeld(slot, 0, 100 + slot, 7, this.server(server));
  }

  /** The open group is closed, and its parity acknowledged. */
  protect(nowMs = 0): void {
    this.redundancy.barrier();
    this.redundancy.tick(nowMs);
    this.redundancy.parityHeld(this.port.puts.at(-1)!.accumulator);
  }

  /** A protected group of two pages, on a and b if not said otherwise. */
  protectPair(first: number, second: number, nowMs = 0, [one, other] = ["a", "b"]): void {
    this.hold(first, one!);
    this.hold(second, other!);
    this.protect(nowMs);
  }

  /** The link to the server ends. */
  goAway(name: string): void {
    const holder = this.server(name);
    this.port.unlink(holder);
    this.redundancy.holderAway(holder);
  }

  /** The server is gone, with its pages. */
  die(name: string): void {
    const holder = this.server(name);
    this.port.unlink(holder);
    this.port.table.setDead(holder);
    this.redundancy.holderDead(holder);
  }

  groupOf(slot: number): number {
    const { groups } = this.redundancy;
    return groups.groupOf(groups.liveOf(slot));
  }

  stateOf(slot: number): number {
    return this.redundancy.groups.state[this.groupOf(slot)]!;
  }

  get unprotected(): number {
    return this.redundancy.figures().unprotected;
  }

  /** Answers the operation that was asked for as the `index`th, the last one if left out. */
  answer(status: number, index = -1): void {
    this.redundancy.operationDone(this.port.operations.at(index)!.index, status, 7);
  }
}
