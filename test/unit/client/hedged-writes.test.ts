import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { memoryServer, pageOf, TestClient, type Wire } from "../../support/cores.ts";

const PAGES = 40;

/** Ticks and lets bytes move for so long. */
function live(client: TestClient, ms: number, step = limits.hedgeCheckMs): void {
  for (const untilMs = client.nowMs + ms; client.nowMs < untilMs; ) {
    client.nowMs += step;
    client.core.tick(client.nowMs);
    client.pump();
  }
}

/** A client with servers, of which the first has stopped: what it is sent, it does not even read. */
function rig(servers = 3) {
  const client = new TestClient();
  const wires = ["a", "b", "c"].slice(0, servers).map((name) => client.join(memoryServer(name)));
  live(client, 200);
  wires[0]!.toServer = false;
  const outcomes = [...Array(PAGES).keys()].map((slot) => client.write(slot, pageOf(slot)));
  client.pump();
  const onFirst = [...Array(PAGES).keys()].filter((slot) => !outcomes[slot]!.done);
  return { client, wires, outcomes, onFirst };
}

const goesOn = (client: TestClient, wire: Wire): void => {
  wire.toServer = true;
  client.pump();
};

function expectAllAsWritten(client: TestClient): void {
  for (let slot = 0; slot < PAGES; slot += 1) {
    const read = client.read(slot);
    client.pump();
    expect(read.result).toBe(PageResult.OK);
    expect(Buffer.compare(read.bytes!, pageOf(slot))).toBe(0);
  }
}

const pagesOf = (wires: readonly Wire[]): number =>
  wires.reduce((sum, { server }) => sum + server.capacity.used, 0);

describe("a write that a silent server does not acknowledge", () => {
  it("is made to another server, and what the silent one takes later is dropped there", () => {
    const { client, wires, outcomes, onFirst } = rig();
    expect(onFirst.length).toBeGreaterThan(0);
    live(client, limits.hedgeMsMin - 20);
    expect(client.core.counters.writesHedged).toBe(0);
    live(client, 60);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    expect(client.core.counters.writesHedged).toBe(onFirst.length);
    expect(client.core.counters.linksLost).toBe(0);
    expectAllAsWritten(client);
    goesOn(client, wires[0]!);
    live(client, 200);
    expect(pagesOf(wires)).toBe(PAGES);
    expect(client.core.frames.used).toBe(0);
    expectAllAsWritten(client);
  });

  it("is taken from the silent one if that is first after all", () => {
    const { client, wires, onFirst } = rig();
    for (const wire of wires) wire.toClient = false;
    live(client, 80);
    expect(client.core.counters.writesHedged).toBe(onFirst.length);
    goesOn(client, wires[0]!);
    wires[0]!.toClient = true;
    client.pump();
    for (const wire of wires) wire.toClient = true;
    live(client, 200);
    expect(pagesOf(wires)).toBe(PAGES);
    expect(client.core.frames.used).toBe(0);
    expectAllAsWritten(client);
  });

  it("is not lost when the silent one's link ends after that", () => {
    const { client, wires } = rig();
    live(client, limits.linkSilenceMsMax + 200);
    expect(client.core.counters.linksLost).toBe(1);
    expect(client.core.frames.used).toBe(0);
    client.cut(wires[0]!);
    expectAllAsWritten(client);
    expect(pagesOf(wires.slice(1))).toBe(PAGES);
  });

  it("waits where there is no other server, or all are silent", () => {
    const { client, wires, outcomes } = rig(1);
    live(client, 500);
    expect(client.core.counters.writesHedged).toBe(0);
    goesOn(client, wires[0]!);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    const all = rig();
    for (const wire of all.wires) wire.toServer = false;
    // That the others are silent too is found out, one after the other, by what they are given then.
    live(all.client, 500);
    const { writesHedged } = all.client.core.counters;
    expect(writesHedged).toBeLessThanOrEqual(2 * all.onFirst.length);
    live(all.client, 500);
    expect(all.client.core.counters.writesHedged).toBe(writesHedged);
    for (const wire of all.wires) goesOn(all.client, wire);
    expect(all.outcomes.every(({ done }) => done)).toBe(true);
  });

  it("waits while the server says anything at all: then the network is slow, and would carry each page twice", () => {
    const { client, wires } = rig();
    for (let i = 0; i < 20; i += 1) {
      live(client, 30);
      // It answers an earlier request, as it were.
      wires[0]!.link.lastHeardMs = client.nowMs;
    }
    expect(client.core.counters.writesHedged).toBe(0);
  });

  it("is not made again because the client itself stood still", () => {
    const { client, wires } = rig();
    client.nowMs += 10 * limits.hedgeMsMax;
    client.core.tick(client.nowMs);
    expect(client.core.counters.writesHedged).toBe(0);
    goesOn(client, wires[0]!);
    live(client, 200);
    expect(client.core.counters.writesHedged).toBe(0);
    expectAllAsWritten(client);
  });

  it.each([
    ["before it is made again", 20, true],
    ["before it is made again, and not acknowledged either", 20, false],
    ["after it was made again", 80, true],
  ])("is overwritten %s: the newest page wins", (_when, afterMs, isHeld) => {
    const { client, wires, onFirst } = rig();
    live(client, afterMs);
    const slot = onFirst[0]!;
    for (const wire of wires) wire.toClient = isHeld;
    const newer = client.write(slot, pageOf(1_000));
    live(client, 100);
    expect(newer.done).toBe(isHeld);
    for (const wire of wires) wire.toClient = true;
    goesOn(client, wires[0]!);
    live(client, 200);
    const read = client.read(slot);
    client.pump();
    expect(Buffer.compare(read.bytes!, pageOf(1_000))).toBe(0);
    expect(pagesOf(wires)).toBe(PAGES);
    expect(client.core.frames.used).toBe(0);
  });

  it("counts against a limit only until the silent server has said what became of it", () => {
    const { client, wires } = rig();
    for (let round = 0; client.core.counters.writesHedged <= 2 * limits.writeHedgesMax; round += 1) {
      expect(round).toBeLessThan(1_000);
      live(client, 80);
      goesOn(client, wires[0]!);
      live(client, 20);
      wires[0]!.toServer = false;
      for (let slot = 0; slot < PAGES; slot += 1) client.write(slot, pageOf(slot));
      client.pump();
    }
    live(client, 80);
    expectAllAsWritten(client);
  });
});

it("new pages pass a silent server over", () => {
  const { client, wires } = rig();
  live(client, 80);
  const queued = wires[0]!.clientOut.queuedBytes;
  for (let round = 0; round < 20; round += 1) {
    for (let slot = 0; slot < PAGES; slot += 1) client.write(1_000 + slot, pageOf(slot + round * PAGES));
    client.pump();
  }
  expect(wires[0]!.clientOut.queuedBytes).toBe(queued);
});
