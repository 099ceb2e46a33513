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
    live(client, 80);
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

  it("is taken from the silent one, and told at once, if that is first after all", () => {
    const { client, wires, outcomes, onFirst } = rig();
    for (const wire of wires) wire.toClient = false;
    live(client, 80);
    expect(client.core.counters.writesHedged).toBe(onFirst.length);
    wires[0]!.toClient = true;
    goesOn(client, wires[0]!);
    expect(outcomes.every(({ done }) => done)).toBe(true);
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
    expect(client.core.counters.placedAgain).toBe(0);
    expect(client.core.frames.used).toBe(0);
    client.cut(wires[0]!);
    expectAllAsWritten(client);
    expect(pagesOf(wires.slice(1))).toBe(PAGES);
  });

  it("is left to its copy when the silent one's link ends, and copied anew if that is late too", () => {
    const { client, wires, outcomes, onFirst } = rig();
    for (const wire of wires) wire.toClient = false;
    live(client, 100);
    expect(client.core.counters.writesHedged).toBe(onFirst.length);
    client.cut(wires[0]!);
    expect(client.core.counters.placedAgain).toBe(0);
    live(client, 300);
    expect(client.core.counters.writesHedged).toBeGreaterThan(onFirst.length);
    for (const wire of wires) wire.toClient = true;
    live(client, 300);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    expect(client.core.frames.used).toBe(0);
    expect(pagesOf(wires.slice(1))).toBe(PAGES);
    expectAllAsWritten(client);
  });

  it("waits where there is no other server, or all are silent", () => {
    const { client, wires, outcomes } = rig(1);
    live(client, 500);
    expect(client.core.counters.writesHedged).toBe(0);
    goesOn(client, wires[0]!);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    const all = rig();
    for (const wire of all.wires) wire.toServer = false;
    // That the others are silent too is found out by what they are given then; a copy is not copied.
    live(all.client, 1_000);
    expect(all.client.core.counters.writesHedged).toBe(all.onFirst.length);
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

  it.each([60, 100, 250, 290, 310, 5_000])(
    "is not made again because the client itself stood still for %i ms",
    (ms) => {
      const { client, wires, outcomes } = rig();
      wires[0]!.toClient = false;
      goesOn(client, wires[0]!);
      client.nowMs += ms;
      // Timers come first, then what has arrived meanwhile.
      client.core.tick(client.nowMs);
      wires[0]!.toClient = true;
      client.pump();
      live(client, 200);
      expect(client.core.counters.writesHedged).toBe(0);
      expect(outcomes.every(({ done }) => done)).toBe(true);
    },
  );

  it("waits the longer, the more pages are on their way: over a slow network they take their time", () => {
    const { client, wires } = rig(2);
    for (let slot = 0; slot < 1_000; slot += 1) client.write(slot, pageOf(slot + 1));
    client.pump();
    const { unackedPages } = client.core.table.servers.find(({ name }) => name === "a")!;
    expect(unackedPages).toBeGreaterThan(300);
    live(client, 300);
    expect(client.core.counters.writesHedged).toBe(0);
    live(client, unackedPages);
    expect(client.core.counters.writesHedged).toBeGreaterThan(0);
    goesOn(client, wires[0]!);
  });

  it("is not made again where nobody has room for it", () => {
    const client = new TestClient();
    const wires = [client.join(memoryServer("a", 4096)), client.join(memoryServer("b", 1))];
    live(client, 200);
    client.write(100, pageOf(100));
    client.write(101, pageOf(101));
    client.pump();
    wires[0]!.toServer = false;
    for (let slot = 0; slot < PAGES; slot += 1) client.write(slot, pageOf(slot));
    client.pump();
    live(client, 500);
    expect(client.core.counters.writesHedged).toBeLessThanOrEqual(1);
    goesOn(client, wires[0]!);
    live(client, 200);
    expectAllAsWritten(client);
  });

  it("is told as soon as the silent one has it, however little room there is for copies", () => {
    const client = new TestClient();
    const wires = [client.join(memoryServer("a", 60)), client.join(memoryServer("b", 4))];
    live(client, 200);
    wires[0]!.toServer = false;
    const outcomes = [...Array(PAGES).keys()].map((slot) => client.write(slot, pageOf(slot)));
    client.pump();
    live(client, 150);
    expect(client.core.counters.writesHedged).toBeGreaterThan(0);
    goesOn(client, wires[0]!);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    live(client, 2_000);
    expectAllAsWritten(client);
    expect(client.core.frames.used).toBe(0);
  });

  it("is refused by the silent one after that: the copy is enough", () => {
    const client = new TestClient();
    const wires = [client.join(memoryServer("a", 64)), client.join(memoryServer("b", 128))];
    live(client, 200);
    wires[0]!.toServer = false;
    const outcomes = [...Array(2 * PAGES).keys()].map((slot) => client.write(slot, pageOf(slot)));
    client.pump();
    live(client, 200);
    expect(client.core.counters.writesHedged).toBeGreaterThan(0);
    const other = new TestClient({ identity: 7 });
    other.join(wires[0]!.server);
    for (let slot = 0; slot < 64; slot += 1) other.write(slot, pageOf(slot));
    other.pump();
    expect(wires[0]!.server.capacity.free).toBe(0);
    goesOn(client, wires[0]!);
    expect(client.core.table.servers.find(({ name }) => name === "a")!.full).toBe(true);
    expect(client.core.counters.placedAgain).toBe(0);
    live(client, 200);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    expect(client.core.frames.used).toBe(0);
    expectAllAsWritten(client);
  });

  it("with a mirror: accumulators of copies are left alone", () => {
    const client = new TestClient({ redundancy: "mirror" });
    const wires = ["a", "b", "c"].map((name) => client.join(memoryServer(name)));
    live(client, 200);
    wires[0]!.toServer = false;
    const outcomes = [...Array(PAGES).keys()].map((slot) => client.write(slot, pageOf(slot)));
    client.pump();
    live(client, 300);
    expect(outcomes.every(({ done }) => done)).toBe(true);
    goesOn(client, wires[0]!);
    live(client, 500);
    expect(client.core.frames.used).toBe(0);
    expect(pagesOf(wires)).toBe(2 * PAGES);
    expect(client.core.pages.unprotected).toBe(0);
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

  it("that has been overwritten is told when the newer one is held by another", () => {
    const { client, wires, outcomes, onFirst } = rig();
    const newer = onFirst.map((slot) => client.write(slot, pageOf(1_000 + slot)));
    client.pump();
    live(client, limits.hedgeMsMin - 20);
    expect(onFirst.some((slot) => !outcomes[slot]!.done)).toBe(true);
    live(client, 100);
    expect([...outcomes, ...newer].every(({ done }) => done)).toBe(true);
    // Nobody waits, but the frames are on their way still.
    expect(client.core.frames.used).toBeGreaterThanOrEqual(onFirst.length);
    goesOn(client, wires[0]!);
    live(client, 200);
    expect(client.core.frames.used).toBe(0);
    expect(pagesOf(wires)).toBe(PAGES);
    for (const slot of onFirst) {
      const read = client.read(slot);
      client.pump();
      expect(Buffer.compare(read.bytes!, pageOf(1_000 + slot))).toBe(0);
    }
  });

  it("counts against a limit only until the silent server has said what became of it", () => {
    const { client, wires } = rig();
    goesOn(client, wires[0]!);
    for (let round = 0; client.core.counters.writesHedged <= 2 * limits.writeHedgesMax; round += 1) {
      expect(round).toBeLessThan(1_000);
      const wire = wires[round % wires.length]!;
      wire.toServer = false;
      for (let slot = 0; slot < PAGES; slot += 1) client.write(slot, pageOf(slot));
      client.pump();
      live(client, 700);
      goesOn(client, wire);
      live(client, 20);
    }
    expectAllAsWritten(client);
  });
});

it("not all writes are copied where too many wait: the frames that requests may need are left alone", () => {
  const client = new TestClient({ frames: 2_048 });
  const wires = ["a", "b", "c"].map((name) => client.join(memoryServer(name, 8_192)));
  live(client, 200);
  wires[0]!.toServer = false;
  wires[2]!.toServer = false;
  const { frames } = client.core;
  let slot = 0;
  for (; slot < 1_200; slot += 1) client.write(slot, pageOf(slot));
  client.pump();
  expect(frames.used).toBeGreaterThan(limits.writeHedgesMax);
  wires[1]!.toClient = false;
  for (const untilMs = client.nowMs + 1_500; client.nowMs < untilMs; ) {
    wires[1]!.link.lastHeardMs = client.nowMs;
    live(client, 20);
  }
  expect(client.core.counters.writesHedged).toBe(limits.writeHedgesMax);
  expect(frames.free).toBeGreaterThanOrEqual(frames.admitted - 1_200);
  wires[1]!.toClient = true;
  for (const wire of wires) goesOn(client, wire);
  live(client, 300);
  expect(frames.used).toBe(0);
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
