import { expect, it } from "vitest";
import { Arena } from "../../../src/base/arena.ts";
import { limits } from "../../../src/base/limits.ts";
import { PAGE_BYTES } from "../../../src/base/page.ts";
import { LinkSet } from "../../../src/client/link-set.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { Patience } from "../../../src/client/patience.ts";
import { RedundancyHost, type RedundancyHostOptions } from "../../../src/client/redundancy-host.ts";
import type { ServerLink } from "../../../src/client/server-link.ts";
import { ParityServerCore } from "../../../src/parity/parity-server.ts";
import type { MemoryServerCore } from "../../../src/server/memory-server.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

/** Until it is certain that a server says nothing. */
const FOUND_OUT_MS = 200;
/** So many that a server which has stopped is not full of them by then. */
const PAGES_A_STEP = 16;

/** Ticks and lets bytes move for so long; what `each` does is done before each step. */
function live(client: TestClient, ms: number, each: () => void = () => {}): void {
  for (const untilMs = client.nowMs + ms; client.nowMs < untilMs; ) {
    each();
    client.nowMs += limits.hedgeCheckMs;
    client.core.tick(client.nowMs);
    client.pump();
  }
}

/** The copy of a slot's page, and the server that has it, loses it. */
function spoilCopy({ core, wires }: TestClient, slot: number): void {
  const groups = core.redundancy.groups!;
  const group = groups.groupOf(groups.liveOf(slot));
  const { server } = wires.find(({ link }) => link.holder === groups.parityHolder[group])!;
  server.visitPages((_client, pageId, _slot, frame) => {
    if (pageId === groups.parityId[group]) server.store.drop(frame);
  });
}

/** A client with three memory servers, which have each page of these slots twice if mirrored. */
function rig(redundancy: "none" | "mirror", pages: number) {
  const client = new TestClient({ redundancy });
  const wires = ["a", "b", "c"].map((name) => client.join(memoryServer(name, 16_384)));
  live(client, 200);
  for (let slot = 0; slot < pages; slot += 1) client.write(slot, pageOf(slot));
  live(client, 200);
  expect(client.core.pages.unprotected).toBe(0);
  return { client, wires };
}

it("reads beyond those that may be left to a stopped server waited until it was given up", () => {
  const pages = 3_000;
  const { client, wires } = rig("mirror", pages);
  wires[0]!.toServer = false;
  const first = [...Array(100).keys()].map((slot) => client.read(slot));
  live(client, FOUND_OUT_MS);
  expect(first.every(({ done }) => done)).toBe(true);
  const rescuedBefore = client.core.counters.pagesRescued;
  for (let slot = 0; slot < pages; slot += 1) {
    const read = client.read(slot);
    // No time passes.
    client.pump();
    expect(read.done, `slot ${slot}`).toBe(true);
    expect(Buffer.compare(read.bytes!, pageOf(slot))).toBe(0);
  }
  expect(client.core.counters.pagesRescued - rescuedBefore).toBeGreaterThan(limits.hedgesMax);
  expect(client.core.counters.linksLost).toBe(0);
  wires[0]!.toServer = true;
  live(client, 100);
  expect(client.core.frames.used).toBe(0);
});

it.each(["silent", "away"])(
  "a page whose copy was missing was lost while its own server was merely %s",
  (how) => {
    const { client, wires } = rig("mirror", 200);
    const { slots } = client.core;
    const onFirst = [...Array(200).keys()].filter((slot) => slots.holder(slot) === wires[0]!.link.holder);
    const [slot, other] = onFirst as [number, number];
    spoilCopy(client, slot);
    const { server } = wires[0]!;
    if (how === "away") client.cut(wires[0]!);
    else {
      wires[0]!.toServer = false;
      client.read(other);
      live(client, FOUND_OUT_MS);
    }
    const read = client.read(slot);
    live(client, 500);
    expect(read.done).toBe(false);
    if (how === "away") client.join(server);
    else wires[0]!.toServer = true;
    live(client, 200);
    expect(read.result).toBe(PageResult.OK);
    expect(Buffer.compare(read.bytes!, pageOf(slot))).toBe(0);
    expect(client.core.counters.pagesLost).toBe(0);
  },
);

it("reads for which the copy's server was asked, silent too, waited for that when their own server was back", () => {
  const { client, wires } = rig("mirror", 200);
  const { slots } = client.core;
  for (const wire of wires) wire.toServer = false;
  for (let slot = 0; slot < 30; slot += 1) client.read(slot);
  live(client, FOUND_OUT_MS);
  const onFirst = [...Array(200).keys()].filter((slot) => slots.holder(slot) === wires[0]!.link.holder);
  const read = client.read(onFirst.at(-1)!);
  live(client, 20);
  wires[0]!.toServer = true;
  live(client, 50);
  expect(read.result).toBe(PageResult.OK);
});

/** A parity server that reaches no memory server. */
function joinLonelyParity(client: TestClient): () => number {
  const parity: ParityServerCore = new ParityServerCore({
    arena: new Arena((limits.parityWorkFrames + 4) * PAGE_BYTES),
    identity: new Uint8Array(16).fill(200),
    name: "p",
    capacityFrames: 4_096,
    nonce: () => new Uint8Array(32),
    hashSeed: 1,
    scrubPerTick: 0,
    port: { wanted: (owner, server) => parity.unreachable(owner, server), linkClosed: () => {} },
  });
  client.join(parity as unknown as MemoryServerCore, "parity");
  return () => parity.snapshot().parity.unreachable;
}

it("reads that others could not make were asked for again with each one that they could make", () => {
  const client = new TestClient({ redundancy: "parity" });
  const wires = ["a", "b", "c"].map((name) => client.join(memoryServer(name)));
  const failed = joinLonelyParity(client);
  live(client, 200);
  const { slots } = client.core;
  const isOnFirst = (slot: number): boolean => slots.holder(slot) === wires[0]!.link.holder;
  // A group of one page can be made of its parity page alone.
  let single = 0;
  for (let slot = 1; single === 0; slot += 1) {
    client.write(slot, pageOf(slot));
    client.pump();
    client.core.whenProtected(() => {});
    live(client, 50);
    if (isOnFirst(slot)) single = slot;
  }
  for (let slot = 1_000; slot < 3_000; slot += 1) client.write(slot, pageOf(slot));
  live(client, 100);
  client.core.whenProtected(() => {});
  live(client, 300);
  const others = [...Array(2_000).keys()]
    .map((i) => i + 1_000)
    .filter(isOnFirst)
    .slice(0, 400);
  wires[0]!.toServer = false;
  client.read(single);
  live(client, FOUND_OUT_MS);
  const waiting = others.map((slot) => client.read(slot));
  client.pump();
  const before = failed();
  expect(before).toBeGreaterThan(0);
  for (let i = 0; i < 50; i += 1) {
    client.read(single);
    client.pump();
  }
  expect(failed() - before).toBeLessThan(50);
  wires[0]!.toServer = true;
  live(client, 500);
  expect(waiting.every(({ result }) => result === PageResult.OK)).toBe(true);
  expect(client.core.frames.used).toBe(0);
});

it("copies of new pages went on to a stopped server, and its share of accumulators was not to be had", () => {
  const { client, wires } = rig("mirror", 0);
  wires[0]!.toServer = false;
  const writes: { done: boolean }[] = [];
  const writeSome = (): void => {
    for (let i = 0; i < PAGES_A_STEP; i += 1) writes.push(client.write(writes.length, pageOf(writes.length)));
  };
  live(client, FOUND_OUT_MS, writeSome);
  const inUse = limits.accumulators - client.core.frames.accumulatorsLeft;
  live(client, limits.linkSilenceMsMax - FOUND_OUT_MS - 300, writeSome);
  expect(client.core.counters.linksLost).toBe(0);
  expect(limits.accumulators - client.core.frames.accumulatorsLeft).toBeLessThan(inUse + 32);
  const late = (FOUND_OUT_MS / limits.hedgeCheckMs) * PAGES_A_STEP;
  expect(writes.slice(0, -late).every(({ done }) => done)).toBe(true);
  wires[0]!.toServer = true;
  live(client, 300);
  expect(writes.every(({ done }) => done)).toBe(true);
  expect(client.core.pages.unprotected).toBe(0);
});

it("what was sent to a server after it had stopped put off that it was found out", () => {
  const { client, wires } = rig("none", 0);
  wires[0]!.toServer = false;
  let slot = 0;
  const writeSome = (): void => {
    for (let i = 0; i < 60; i += 1, slot += 1) client.write(slot, pageOf(slot));
  };
  live(client, FOUND_OUT_MS, writeSome);
  expect(client.core.counters.writesHedged).toBeGreaterThan(0);
  wires[0]!.toServer = true;
  live(client, 200);
  expect(client.core.frames.used).toBe(0);
});

it("a parity server that owes something and says nothing is given work all the same: it may wait for others", () => {
  const { client } = rig("none", 0);
  const { table } = client.core;
  const links = new LinkSet(() => {});
  const patience = new Patience(table, links);
  const host = new RedundancyHost({ links, patience, table } as unknown as RedundancyHostOptions);
  const takes = (role: "server" | "parity"): boolean => {
    const holder = table.admit(role, role, role);
    table.setUp(holder);
    links.bind({ up: true, hasRoom: true, owed: true, lastHeardMs: 0 } as ServerLink, holder);
    for (let nowMs = 0; nowMs < 5_000; nowMs += 100) patience.look(nowMs);
    return host.takesPages(holder);
  };
  expect(takes("server")).toBe(false);
  expect(takes("parity")).toBe(true);
});
