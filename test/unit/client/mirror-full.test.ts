import { describe, expect, it } from "vitest";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import {
  memoryServer,
  NbdPeer,
  nbdRequest,
  type Outcome,
  pageOf,
  TestClient,
  type Wire,
} from "../../support/cores.ts";

const FLUSH = 3;

function pass(client: TestClient, ms: number): void {
  for (let i = 0; i < ms / 100; i += 1) {
    client.nowMs += 100;
    client.core.tick(client.nowMs);
    client.front.tick(client.nowMs);
    client.pump();
  }
}

function write(client: TestClient, from: number, to: number): void {
  for (let slot = from; slot < to; slot += 1) {
    client.write(slot, pageOf(slot));
    client.pump();
    client.nowMs += 1;
  }
}

function kill(client: TestClient, wire: Wire): void {
  const { identity } = client.core.table.at(wire.link.holder);
  client.cut(wire);
  client.core.serverLost(identity, "gone");
}

/** The slots whose reads did not give what was written to them. */
function notRead(reads: Outcome[]): number[] {
  return [...reads.keys()].filter((slot) => {
    const { bytes } = reads[slot]!;
    return bytes === undefined || !Buffer.from(bytes).equals(pageOf(slot));
  });
}

/** A mirror whose small server has room for 50 of 60 copies. */
function oneOfTwoFull() {
  const client = new TestClient({ redundancy: "mirror" });
  const large = client.join(memoryServer("a", 10_000));
  client.join(memoryServer("b", 50));
  write(client, 0, 60);
  pass(client, 3_000);
  return { client, large };
}

describe("a mirror with a memory server that is full", () => {
  it("FLUSH was never answered: it waited for copies that nobody takes", () => {
    const { client } = oneOfTwoFull();
    const peer = new NbdPeer(client);
    peer.answers();
    peer.send(nbdRequest(FLUSH, 0, 0));
    client.pump();
    expect(peer.answers().length).toBeGreaterThan(0);
  });

  it("pages whose copies nobody takes did not count as unprotected", () => {
    expect(oneOfTwoFull().client.core.pages).toMatchObject({ live: 60, unprotected: 10 });
  });

  it("reads of pages that the client itself still had were never answered once their server was gone", () => {
    const { client, large } = oneOfTwoFull();
    kill(client, large);
    const reads = [...Array(60).keys()].map((slot) => client.read(slot));
    pass(client, 1_000);
    expect(notRead(reads)).toEqual([]);
    expect(client.core.pages).toMatchObject({ unprotected: 60, lost: 0 });
  });

  it("copies that were waiting are made when servers join", () => {
    const { client, large } = oneOfTwoFull();
    kill(client, large);
    for (const name of ["c", "d"]) client.join(memoryServer(name, 10_000));
    pass(client, 10_000);
    expect(client.core.pages).toMatchObject({ live: 60, unprotected: 0, lost: 0 });
  });

  it("copies that nobody takes are given up again once their pages are overwritten", () => {
    const { client } = oneOfTwoFull();
    for (let slot = 0; slot < 60; slot += 1) client.core.zeroPage(slot, true, { pageDone() {} });
    pass(client, 1_000);
    expect(client.core.pages).toMatchObject({ live: 0, dead: 0, unprotected: 0 });
    expect(client.core.frames.accumulatorsLeft).toBe(client.core.frames.accumulators);
  });

  it("copies that nobody takes held all accumulators, and others that could be made never were", () => {
    const client = new TestClient({ redundancy: "mirror" });
    const { core } = client;
    client.join(memoryServer("a", 500));
    const gone = client.join(memoryServer("c", 500));
    write(client, 0, 490);
    // Then comes a large one, whose pages' copies find no room on the others.
    client.join(memoryServer("b", 10_000));
    write(client, 490, 2_000);
    pass(client, 3_000);
    kill(client, gone);
    pass(client, 30_000);
    const groups = core.redundancy.groups!;
    const single = [...Array(2_000).keys()].filter((slot) => {
      const group = groups.groupOf(groups.liveOf(slot));
      const hasCopy = groups.state[group] === GroupState.PROTECTED && groups.degraded[group] === 0;
      return core.table.at(core.slots.holder(slot)).name === "a" && !hasCopy;
    });
    expect(single).toEqual([]);
    expect(core.pages.lost).toBe(0);
  });
});
