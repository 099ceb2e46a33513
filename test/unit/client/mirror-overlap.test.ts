import { describe, expect, it } from "vitest";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { memoryServer, pageOf, TestClient, type Wire } from "../../support/cores.ts";

const SLOT = 5;
const COLD = [...Array(100).keys()].map((i) => 100 + i);

/** A client with a mirror whose servers can be kept owing an answer, so that what is asked for next waits. */
class Overlap {
  readonly client = new TestClient({ redundancy: "mirror" });
  readonly wires: readonly Wire[];
  #busy = new Set<Wire>();
  #version = 0;

  constructor() {
    for (const name of ["a", "b", "c", "d", "e"]) this.client.join(memoryServer(name));
    this.wires = [...this.client.wires];
    for (const slot of COLD) this.client.write(slot, pageOf(slot));
    this.client.pump();
    this.write();
  }

  wireOf(holder: number): Wire {
    return this.wires.find((wire) => wire.link.holder === holder)!;
  }

  /** The servers of the slot's page and of its copy, and the copy's id. */
  get places(): { holder: number; copyOn: number; copyId: number } {
    const { core } = this.client;
    const groups = core.redundancy.groups!;
    const group = groups.groupOf(groups.liveOf(SLOT));
    const [copyOn, copyId] = [groups.parityHolder[group]!, groups.parityId[group]!];
    return { holder: core.slots.holder(SLOT), copyOn, copyId };
  }

  write(): void {
    this.#version += 1;
    const write = this.client.write(SLOT, pageOf(this.#version));
    this.client.pump();
    expect(write.done).toBe(true);
    this.client.nowMs += 6;
    this.client.pump();
  }

  /** The slot is written anew, until neither of its servers is this one. */
  writeElsewhere(than: Wire): void {
    for (const wire of this.wires) if (wire !== than) this.release(wire);
    this.client.pump();
    do this.write();
    while (this.wireOf(this.places.holder) === than || this.wireOf(this.places.copyOn) === than);
  }

  occupy(): void {
    for (const wire of this.wires) {
      if (this.#busy.has(wire)) continue;
      const { slots } = this.client.core;
      this.client.read(COLD.find((slot) => slots.holder(slot) === wire.link.holder)!);
      this.client.turn();
      wire.toClient = false;
      this.#busy.add(wire);
    }
  }

  release(wire: Wire): void {
    wire.toClient = true;
    this.#busy.delete(wire);
  }
}

describe("a page of a mirror that is written again and again", () => {
  it("is not said to be lost to who reads it meanwhile and asks for one version after the other", () => {
    const overlap = new Overlap();
    const { client } = overlap;
    const { core } = client;
    let result: PageResult | undefined;
    overlap.occupy();
    const frame = core.frames.take(SLOT, {
      pageDone: (_frame, how) => {
        result = how;
      },
    });
    core.readPage(frame);
    for (let step = 0; step < 20 && result === undefined; step += 1) {
      const { holder, copyOn, copyId } = overlap.places;
      const asked = overlap.wireOf(core.frames.pageId[frame] === copyId ? copyOn : holder);
      overlap.writeElsewhere(asked);
      overlap.occupy();
      // It answers what it owed, is asked for the page of back then, and does not have it any more.
      overlap.release(asked);
      client.pump();
      overlap.occupy();
      core.tick(client.nowMs);
    }
    for (const wire of overlap.wires) overlap.release(wire);
    client.pump();
    expect(result).toBe(PageResult.OK);
    expect(core.lostPages).toBe(0);
  });
});
