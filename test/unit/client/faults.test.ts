import { describe, expect, it } from "vitest";
import {
  AckStatus,
  beginAck,
  beginListing,
  beginPages,
  FrameType,
  LIST_END,
  PageStatus,
  PeerError,
  putAckEntry,
  putBare,
  putCapacityFrame,
  putError,
  putMeta,
  WireError,
} from "../../../proto/peer/index.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { memoryServer, type Outcome, pageOf, TestClient, type Wire } from "../../support/cores.ts";
import { equalBuffers, NbdTester } from "../../support/nbd-tester.ts";
import { nbd } from "../../support/raw-nbd.ts";

expect.addEqualityTesters([equalBuffers]);

const PAGE = 4096;

const newClient = (frames = 512): TestClient =>
  new TestClient({ slots: 1024, frames, peerBlocks: 256, nbdBlocks: 64 });

const slotsOf = (count: number, from = 0): number[] => [...Array(count).keys()].map((i) => from + i);

function write(client: TestClient, slots: number[], salt = 0): Outcome[] {
  return slots.map((slot) => client.write(slot, pageOf(slot + salt)));
}

/** Slots whose page reads otherwise than it was written. */
function wrong(client: TestClient, slots: number[], salt = 0): number[] {
  const reads = slots.map((slot) => client.read(slot));
  client.pump();
  return slots.filter((slot, i) => {
    const { bytes } = reads[i]!;
    return bytes === undefined || Buffer.compare(bytes, pageOf(slot + salt)) !== 0;
  });
}

const count = (outcomes: Outcome[], result: PageResult | undefined): number =>
  outcomes.filter((outcome) => outcome.result === result).length;

/** The connections break, and the server answers at the same address as before. */
function reconnect(client: TestClient, wire: Wire): Wire {
  client.cut(wire);
  return client.join(wire.server);
}

function expectAtRest(client: TestClient): void {
  client.pump();
  expect(client.core.frames.used).toBe(0);
  expect(client.core.starved).toBe(false);
  for (const { server } of client.wires) server.check();
  for (const holder of client.core.table.holders) expect(holder.unackedPages).toBe(0);
  const live = client.core.table.holders.reduce((sum, holder) => sum + holder.livePages, 0);
  expect(live).toBe(client.core.slots.onServers);
}

describe("a full server", () => {
  it("costs a page no more than the way to the next one", () => {
    const client = newClient();
    const [small, large] = [memoryServer("a", 10), memoryServer("b", 1000)];
    const [toSmall] = [client.join(small), client.join(large)];
    // Its figures are stale: it is filled behind the client's back.
    client.core.table.at(toSmall.link.holder).report({ free: 5000, limit: 5000, used: 0 });
    const slots = slotsOf(300);
    const writes = write(client, slots);
    client.pump();
    expect(count(writes, PageResult.OK)).toBe(slots.length);
    expect(small.snapshot().pagesHeld).toBe(10);
    expect(small.snapshot().counters.fullRefusals).toBeGreaterThan(0);
    expect(client.core.counters.placedAgain).toBeGreaterThan(0);
    expect(client.core.table.at(toSmall.link.holder).full).toBe(true);
    expect(wrong(client, slots)).toEqual([]);
    expectAtRest(client);
  });

  it("makes pages wait when there is no other, and takes them when it has room", () => {
    const client = newClient();
    const server = memoryServer("a", 10);
    client.join(server);
    write(client, slotsOf(10));
    client.pump();
    const late = write(client, slotsOf(5, 100));
    client.pump();
    expect(count(late, PageResult.OK)).toBe(0);
    expect(client.core.starved).toBe(true);
    expect(wrong(client, slotsOf(5, 100))).toEqual([]);
    for (const slot of slotsOf(5)) client.core.zeroPage(slot, true, { pageDone() {} });
    client.pump();
    for (client.nowMs = 0; client.nowMs < 3 * limits.linkPingMs; client.nowMs += limits.tickMs) {
      client.core.tick(client.nowMs);
      client.pump();
    }
    expect(count(late, PageResult.OK)).toBe(5);
    expect(wrong(client, slotsOf(5, 5))).toEqual([]);
    expect(wrong(client, slotsOf(5, 100))).toEqual([]);
    expectAtRest(client);
  });

  it("says so once in a while, in words", () => {
    const client = newClient();
    write(client, slotsOf(3));
    for (client.nowMs = 0; client.nowMs < 2.5 * limits.starvedNoticeMs; client.nowMs += limits.tickMs) {
      client.core.tick(client.nowMs);
    }
    expect(client.notices).toEqual(Array(2).fill("pages wait for a memory server with room pages=3"));
  });
});

describe("a lost link", () => {
  it("has its unacknowledged writes placed elsewhere at once", () => {
    const client = newClient();
    const [toA, toB] = [client.join(memoryServer("a")), client.join(memoryServer("b"))];
    toA.toServer = false;
    const slots = slotsOf(200);
    const writes = write(client, slots);
    client.pump();
    const waiting = count(writes, undefined);
    expect(waiting).toBeGreaterThan(0);
    client.cut(toA);
    client.pump();
    expect(count(writes, PageResult.OK)).toBe(slots.length);
    expect(client.core.counters.placedAgain).toBe(waiting);
    expect(toB.server.snapshot().pagesHeld).toBe(slots.length);
    expect(wrong(client, slots)).toEqual([]);
    expectAtRest(client);
  });

  it("lets reads wait until the server is back, and all are answered then", () => {
    const client = newClient();
    const [toA] = [client.join(memoryServer("a")), client.join(memoryServer("b"))];
    const slots = slotsOf(100);
    write(client, slots);
    client.pump();
    const onA = toA.server.snapshot().pagesHeld;
    expect(onA).toBeGreaterThan(10);
    // Half are asked for before the link is lost, half after.
    toA.toServer = false;
    const early = slots.slice(0, 50).map((slot) => client.read(slot));
    client.turn();
    client.cut(toA);
    const late = slots.slice(50).map((slot) => client.read(slot));
    client.pump();
    const reads = [...early, ...late];
    expect(count(reads, undefined)).toBe(onA);
    expect(count(reads, PageResult.LOST)).toBe(0);
    client.join(toA.server);
    expect(count(reads, PageResult.OK)).toBe(slots.length);
    for (const [slot, { bytes }] of reads.entries()) expect(Buffer.compare(bytes!, pageOf(slot))).toBe(0);
    expectAtRest(client);
  });

  it("in the middle of an answer leaves no read half done", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    const slots = slotsOf(40);
    write(client, slots);
    client.pump();
    wire.toClient = false;
    const reads = slots.map((slot) => client.read(slot));
    client.pump();
    // All but the end of the answer comes.
    const bytes = Buffer.concat([...Array(wire.serverOut.pieces).keys()].map((i) => wire.serverOut.piece(i)));
    const part = bytes.subarray(0, bytes.length - 1);
    client.arena.bytes.set(part, client.region);
    wire.link.receive(client.arena.bytes, client.region, client.region + part.length, client.nowMs);
    expect(count(reads, undefined)).toBe(slots.length);
    reconnect(client, wire);
    expect(count(reads, PageResult.OK)).toBe(slots.length);
    for (const [slot, { bytes }] of reads.entries()) expect(Buffer.compare(bytes!, pageOf(slot))).toBe(0);
    expectAtRest(client);
  });

  it("with pages overwritten meanwhile: the server drops the old ones when it is back", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    const slots = slotsOf(50);
    write(client, slots);
    client.pump();
    client.cut(wire);
    const other = client.join(memoryServer("b"));
    write(client, slots, 5000);
    client.pump();
    expect(other.server.snapshot().pagesHeld).toBe(50);
    expect(wire.server.snapshot().pagesHeld).toBe(50);
    client.join(wire.server);
    expect(wire.server.snapshot().pagesHeld).toBe(0);
    expect(wrong(client, slots, 5000)).toEqual([]);
    expectAtRest(client);
  });

  it("is found by its silence while it owes an answer, and not while it owes none", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    const pass = (ms: number): void => {
      for (const end = client.nowMs + ms; client.nowMs < end; client.nowMs += limits.tickMs) {
        client.core.tick(client.nowMs);
        client.pump();
      }
    };
    pass(5 * limits.linkSilenceMsMax);
    expect(wire.cut).toBe(false);
    wire.toServer = false;
    const outcome = client.write(0, pageOf(0));
    client.pump();
    pass(limits.linkSilenceMsMax - 2 * limits.tickMs);
    expect(wire.cut).toBe(false);
    pass(4 * limits.tickMs);
    expect(wire.cut).toBe(true);
    client.join(memoryServer("b"));
    expect(outcome.result).toBe(PageResult.OK);
    expectAtRest(client);
  });
});

describe("a server that came back empty", () => {
  it("costs exactly its slots an EIO, until they are written again", () => {
    const client = newClient();
    const [toA, toB] = [client.join(memoryServer("a")), client.join(memoryServer("b"))];
    const peer = new NbdTester(client);
    const pages = Buffer.concat(slotsOf(100).map((slot) => Buffer.from(pageOf(slot))));
    expect(peer.write(0, pages)).toBe(0);
    const held = client.core.table.at(toA.link.holder);
    const onA = slotsOf(100).filter((slot) => client.core.slots.place(slot) === 16 + held.index);
    expect(onA.length).toBeGreaterThan(10);
    expect(onA.length).toBeLessThan(90);
    client.cut(toA);
    const waiting = peer.ask({ command: nbd.command.read, offset: onA[0]! * PAGE, length: PAGE });
    peer.exchange();
    expect(peer.answer(waiting)).toBeUndefined();
    const again = client.join(memoryServer("c"));
    client.core.serverLost(held.identity, "another process answers");
    peer.exchange();
    expect(peer.answer(waiting)?.error).toBe(nbd.errno.io);
    expect(client.core.lostPages).toBe(onA.length);
    const failed = slotsOf(100).filter((slot) => peer.read(slot * PAGE, PAGE) === nbd.errno.io);
    expect(failed).toEqual(onA);
    expect(client.core.counters.pagesLost).toBe(onA.length);
    expect(client.core.lostPages).toBe(onA.length);
    for (const slot of onA) {
      expect(peer.write(slot * PAGE, pageOf(slot))).toBe(0);
      expect(peer.read(slot * PAGE, PAGE)).toEqual(Buffer.from(pageOf(slot)));
    }
    expect(peer.read(0, pages.length)).toEqual(pages);
    expect(client.core.lostPages).toBe(0);
    expect(client.core.table.holders.map((holder) => holder.name).sort()).toEqual(["b", "c"]);
    expect(toB.server.snapshot().pagesHeld + again.server.snapshot().pagesHeld).toBe(100);
    expectAtRest(client);
  });

  it("under its old identity, is believed when it says that a page is missing", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    const slots = slotsOf(10);
    write(client, slots);
    client.pump();
    client.cut(wire);
    client.join(memoryServer("a"));
    const reads = slots.map((slot) => client.read(slot));
    client.pump();
    expect(count(reads, PageResult.LOST)).toBe(10);
    expect(client.core.slots.lost).toBe(10);
    write(client, slots, 7);
    client.pump();
    expect(wrong(client, slots, 7)).toEqual([]);
    expect(client.core.slots.lost).toBe(0);
    expectAtRest(client);
  });

  it("makes a write of a part of a lost page fail, and the whole page mends it", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    const peer = new NbdTester(client);
    expect(peer.write(0, pageOf(1))).toBe(0);
    client.cut(wire);
    client.core.serverLost(client.core.table.at(wire.link.holder).identity, "it left");
    client.join(memoryServer("b"));
    expect(peer.write(10, Buffer.from([1]))).toBe(nbd.errno.io);
    expect(peer.write(0, pageOf(2))).toBe(0);
    expect(peer.write(10, Buffer.from([1]))).toBe(0);
    const expected = Buffer.from(pageOf(2));
    expected[10] = 1;
    expect(peer.read(0, PAGE)).toEqual(expected);
    expectAtRest(client);
  });
});

describe("wrong bytes", () => {
  /** Delivers what the server has queued, its last byte flipped: that of a page. */
  function deliverFlipped(client: TestClient, wire: Wire): void {
    const last = wire.serverOut.piece(wire.serverOut.pieces - 1);
    last[last.length - 1]! ^= 1;
    client.deliverToClient(wire);
  }

  function flippedRead(times: number): { client: TestClient; outcome: Outcome } {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    client.write(3, pageOf(3));
    client.pump();
    wire.toClient = false;
    const outcome = client.read(3);
    for (let i = 0; i < times; i += 1) {
      client.pump();
      expect(wire.serverOut.queuedBytes).toBeGreaterThan(PAGE);
      deliverFlipped(client, wire);
    }
    wire.toClient = true;
    client.pump();
    return { client, outcome };
  }

  it.each([1, 2])("that come %i times are asked for again, and never handed on", (times) => {
    const { client, outcome } = flippedRead(times);
    expect(outcome.result).toBe(PageResult.OK);
    expect(Buffer.compare(outcome.bytes!, pageOf(3))).toBe(0);
    expect(client.core.counters.checksumErrors).toBe(times);
    expect(client.core.slots.lost).toBe(0);
    expectAtRest(client);
  });

  it("that come each time are a lost page, said by its slot", () => {
    const { client, outcome } = flippedRead(3);
    expect(outcome).toMatchObject({ result: PageResult.LOST, bytes: undefined });
    expect(client.core.slots.lost).toBe(1);
    expect(client.notices.some((text) => /a page is lost slot=3 page=\d+ why="its bytes/.test(text))).toBe(
      true,
    );
    expect(client.wires[0]!.server.snapshot().pagesHeld).toBe(0);
    expectAtRest(client);
  });
});

describe("several writes of one slot", () => {
  it("acknowledged in the order of sending, in the other order, and with one link lost", () => {
    for (const order of ["in order", "reversed", "newest lost"] as const) {
      const client = newClient();
      const wires = ["a", "b", "c"].map((name) => client.join(memoryServer(name)));
      for (const wire of wires) wire.toClient = false;
      // Each goes to another server: the only one that takes pages at that moment.
      const writes = wires.map((wire, i) => {
        for (const one of wires) client.core.table.at(one.link.holder).full = one !== wire;
        const outcome = client.write(5, pageOf(100 + i));
        client.pump();
        return outcome;
      });
      expect(wires.map((wire) => wire.server.snapshot().pagesHeld)).toEqual([1, 1, 1]);
      for (const one of wires) client.core.table.at(one.link.holder).full = false;
      const during = client.read(5);
      expect(Buffer.compare(during.bytes!, pageOf(102))).toBe(0);
      const delivered = order === "in order" ? [...wires] : [...wires].reverse();
      if (order === "newest lost") client.cut(delivered.shift()!);
      for (const wire of delivered) {
        wire.toClient = true;
        client.pump();
        const read = client.read(5);
        client.pump();
        expect(Buffer.compare(read.bytes!, pageOf(102))).toBe(0);
      }
      expect(count(writes, PageResult.OK)).toBe(3);
      const held = client.wires.map((wire) => wire.server.snapshot().pagesHeld);
      expect([order, held.reduce((a, b) => a + b)]).toEqual([order, 1]);
      expectAtRest(client);
    }
  });

  it("are all answered when a trim overtakes them, and nothing of them stays", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    wire.toServer = false;
    const writes = [1, 2, 3].map((salt) => client.write(5, pageOf(salt)));
    client.turn();
    const unsent = client.write(5, pageOf(4));
    client.core.zeroPage(5, true, { pageDone() {} });
    const read = client.read(5);
    expect(read.bytes?.every((byte) => byte === 0)).toBe(true);
    wire.toServer = true;
    client.pump();
    expect(count([...writes, unsent], PageResult.OK)).toBe(4);
    expect(wire.server.snapshot().pagesHeld).toBe(0);
    expect(client.core.slots.onServers).toBe(0);
    expectAtRest(client);
  });
});

describe("a server that breaks the protocol", () => {
  const none = { free: 1, limit: 1, used: 0 };

  function ack(sink: OutQueue, seq: number, accepted: number, status: number): void {
    const at = beginAck(sink, 1, none);
    putAckEntry(sink.view, at, seq, accepted, status);
  }

  /** PAGES for the read that is outstanding, of one page that it says is missing. */
  function missing(sink: OutQueue, seq: number, id: number, status: number = PageStatus.MISSING): void {
    const at = beginPages(sink, 1, 0, seq);
    putMeta(sink.view, at, id, 0, 0, status);
  }

  // Sequence 0 is the write of the page that the client reads; 1 a write of 32 pages, 2 the read.
  const frames: [string, (sink: OutQueue, id: number) => void][] = [
    ["an ACK of what was never sent", (sink) => ack(sink, 99, 1, AckStatus.OK)],
    ["an ACK of what was acknowledged before", (sink) => ack(sink, 0, 1, AckStatus.OK)],
    ["an ACK of a read", (sink) => ack(sink, 2, 1, AckStatus.OK)],
    ["an ACK of more pages than were sent", (sink) => ack(sink, 1, 33, AckStatus.OK)],
    ["an ACK of fewer, that says all", (sink) => ack(sink, 1, 31, AckStatus.OK)],
    ["an ACK that says FULL and accepts all", (sink) => ack(sink, 1, 32, AckStatus.FULL)],
    ["an ACK of unknown status", (sink) => ack(sink, 1, 3, 2)],
    ["PAGES that nobody asked for", (sink, id) => missing(sink, 3, id)],
    ["PAGES as answer to a write", (sink, id) => missing(sink, 1, id)],
    ["PAGES of another page", (sink, id) => missing(sink, 2, id + 1)],
    ["PAGES with an unknown status", (sink, id) => missing(sink, 2, id, 7)],
    ["PAGES of more pages", (sink) => void beginPages(sink, 2, 0, 2)],
    ["a LISTING that nobody asked for", (sink) => void beginListing(sink, 0, LIST_END)],
    ["a PONG that nobody asked for", (sink) => putCapacityFrame(sink, FrameType.PONG, none)],
    ["a second WELCOME", (sink) => putCapacityFrame(sink, FrameType.WELCOME, none)],
    ["a frame of an unknown type", (sink) => putBare(sink, 0x7f)],
    ["an ERROR", (sink) => putError(sink, WireError.PROTOCOL, "you, not me")],
  ];

  it.each(frames)("by %s loses its link, and no page is lost by it", (_what, encode) => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    client.write(200, pageOf(200));
    client.pump();
    wire.toServer = false;
    const slots = slotsOf(32);
    const writes = write(client, slots);
    client.turn();
    const read = client.read(200);
    client.turn();
    const sink = new OutQueue(new HeapBlockPool(4, limits.dataBlockBytes));
    encode(sink, client.core.slots.pageId(200));
    const bytes = sink.piece(0);
    client.arena.bytes.set(bytes, client.region);
    wire.link.receive(client.arena.bytes, client.region, client.region + bytes.length, client.nowMs);
    expect(wire.link.closed).toBeInstanceOf(PeerError);
    expect([count(writes, undefined), read.done]).toEqual([32, false]);
    wire.toServer = true;
    reconnect(client, wire);
    expect(count(writes, PageResult.OK)).toBe(32);
    expect(Buffer.compare(read.bytes!, pageOf(200))).toBe(0);
    expect(wrong(client, slots)).toEqual([]);
    expectAtRest(client);
  });

  it("is heard no more: what comes after changes nothing", () => {
    const client = newClient();
    const wire = client.join(memoryServer("a"));
    wire.toServer = false;
    const outcome = client.write(0, pageOf(0));
    client.turn();
    const sink = new OutQueue(new HeapBlockPool(4, limits.dataBlockBytes));
    ack(sink, 5, 1, AckStatus.OK);
    ack(sink, 0, 1, AckStatus.OK);
    const bytes = sink.piece(0);
    client.arena.bytes.set(bytes, client.region);
    wire.link.receive(client.arena.bytes, client.region, client.region + bytes.length, client.nowMs);
    expect(outcome.done).toBe(false);
    expect(client.core.slots.onServers).toBe(0);
  });

  it("and is linked already ends its second link, not the client", () => {
    const client = newClient();
    const first = client.join(memoryServer("a"));
    const second = client.connect(first.server);
    second.toClient = false;
    client.pump();
    // It comes in one read with what has the link given up.
    ack(second.serverOut, 0, 1, AckStatus.OK);
    second.toClient = true;
    client.pump();
    expect(second.link.closed?.message).toMatch(/is linked already/);
    expect(first.link.up).toBe(true);
    client.cut(second);
    expect(count(write(client, slotsOf(3)), undefined)).toBe(3);
    expectAtRest(client);
  });
});
