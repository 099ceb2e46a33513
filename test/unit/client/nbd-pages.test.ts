import { describe, expect, it } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";
import { equalBuffers, NbdTester } from "../../support/nbd-tester.ts";
import { nbd } from "../../support/raw-nbd.ts";

expect.addEqualityTesters([equalBuffers]);

const PAGE = 4096;
const SLOTS = 64;
const { command, flag } = nbd;
const HOLE = 1;
const ZERO = 2;

/** A client with a server for each name, an NBD client, and what the device should hold. */
function setUp(...names: string[]) {
  const client = new TestClient({ slots: SLOTS, frames: 256, peerBlocks: 256, nbdBlocks: 64 });
  const servers = names.map((name) => memoryServer(name));
  const wires = servers.map((server) => client.join(server));
  return { client, servers, wires, peer: new NbdTester(client), model: Buffer.alloc(SLOTS * PAGE) };
}

/** Nothing is held for requests any more, and servers hold what the map means, no more. */
function expectAtRest({ client, servers }: ReturnType<typeof setUp>): void {
  expect(client.core.frames.used).toBe(0);
  expect(client.front.requestsInFlight).toBe(0);
  expect(client.peerPool.taken).toBe(0);
  expect(client.nbdPool.taken).toBe(0);
  const held = servers.reduce((sum, server) => sum + server.snapshot().pagesHeld, 0);
  expect(held).toBe(client.core.slots.onServers);
  for (const server of servers) server.check();
  for (const holder of client.core.table.holders) expect(holder.unackedPages).toBe(0);
}

function noise(prng: Prng, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) bytes[i] = prng.next() & 0xff;
  return bytes;
}

describe("reads and writes", () => {
  it("of several pages, in all alignments, against a plain array of bytes", () => {
    const all = setUp("a", "b", "c");
    const { client, model, peer } = all;
    const prng = new Prng(3);
    const edges = [0, 1, 511, 2048, 4095];
    let at = 0;
    for (const head of edges) {
      for (const tail of edges) {
        for (const pages of [0, 1, 3]) {
          const from = (at % (SLOTS - 8)) * PAGE + head;
          const bytes = noise(prng, Math.max(1, pages * PAGE + tail));
          expect(peer.write(from, bytes)).toBe(0);
          bytes.copy(model, from);
          expect(peer.read(from, bytes.length)).toEqual(bytes);
          at += 5;
        }
      }
    }
    expect(peer.read(0, model.length)).toEqual(model);
    for (const head of edges) {
      for (const length of [1, 4095, 4096, 4097, 12_289]) {
        expect(peer.read(7 * PAGE + head, length)).toEqual(
          model.subarray(7 * PAGE + head, 7 * PAGE + head + length),
        );
      }
    }
    expect(client.core.counters.requestErrors).toBe(0);
    expectAtRest(all);
  });

  it("come through whatever way the stream is cut", () => {
    const all = setUp("a");
    const { peer } = all;
    const bytes = noise(new Prng(5), 3 * PAGE + 77);
    const header = Buffer.alloc(28);
    header.writeUInt32BE(nbd.requestMagic, 0);
    header.writeUInt16BE(command.write, 6);
    header.writeBigUInt64BE(900n, 8);
    header.writeBigUInt64BE(5000n, 16);
    header.writeUInt32BE(bytes.length, 24);
    const stream = Buffer.concat([header, bytes]);
    for (const step of [1, 13, 4096, 5000]) {
      for (let from = 0; from < stream.length; from += step) peer.send(stream.subarray(from, from + step));
      peer.exchange();
      expect(peer.answer(900n)?.error).toBe(0);
      expect(peer.read(5000, bytes.length)).toEqual(bytes);
      header.writeBigUInt64BE(900n, 8);
      expect(peer.call({ command: command.trim, offset: 0, length: 8 * PAGE }).error).toBe(0);
      peer.forget(900n);
    }
    expectAtRest(all);
  });

  it("beyond the end are refused, and the connection goes on", () => {
    const all = setUp("a");
    const { peer } = all;
    expect(peer.write(SLOTS * PAGE - 1, Buffer.alloc(2, 1))).toBe(nbd.errno.noSpace);
    expect(peer.read(SLOTS * PAGE - 1, 2)).toBe(nbd.errno.invalid);
    expect(peer.write(SLOTS * PAGE - 1, Buffer.alloc(1, 1))).toBe(0);
    expect(peer.read(SLOTS * PAGE - 2, 2)).toEqual(Buffer.from([0, 1]));
    expectAtRest(all);
  });
});

describe("pages of one word repeated", () => {
  it("go to no server, and come back", () => {
    const all = setUp("a");
    const { client, peer, servers } = all;
    const words = Buffer.alloc(2 * PAGE, Buffer.from("01234567"));
    words.fill(0xff, PAGE);
    expect(peer.write(PAGE, words)).toBe(0);
    expect(peer.read(PAGE, words.length)).toEqual(words);
    expect(servers[0]!.snapshot().counters.puts).toBe(0);
    expect([client.core.slots.sameFilled, client.core.slots.onServers]).toEqual([2, 0]);
    expectAtRest(all);
  });

  it("free the page that they replace, and are replaced by one", () => {
    const all = setUp("a");
    const { client, peer, servers } = all;
    expect(peer.write(0, pageOf(1))).toBe(0);
    expect(peer.write(0, Buffer.alloc(PAGE, 7))).toBe(0);
    peer.exchange();
    expect(servers[0]!.snapshot().pagesHeld).toBe(0);
    expect(peer.read(0, PAGE)).toEqual(Buffer.alloc(PAGE, 7));
    expect(peer.write(0, pageOf(2))).toBe(0);
    expect([client.core.slots.sameFilled, client.core.slots.onServers]).toEqual([0, 1]);
    expect(peer.read(0, PAGE)).toEqual(Buffer.from(pageOf(2)));
    expectAtRest(all);
  });

  it("are no such pages with one bit off, wherever it is", () => {
    const all = setUp("a");
    const { client, peer } = all;
    for (const at of [0, 7, 8, 2047, 4088, 4095]) {
      const page = Buffer.alloc(PAGE, 0xaa);
      page[at] = 0xab;
      expect(peer.write(0, page)).toBe(0);
      expect([at, client.core.slots.onServers]).toEqual([at, 1]);
      expect(peer.read(0, PAGE)).toEqual(page);
    }
    expectAtRest(all);
  });
});

describe("trim and zeroes", () => {
  function filled(...names: string[]) {
    const all = setUp(...names);
    noise(new Prng(9), 8 * PAGE).copy(all.model);
    expect(all.peer.write(0, all.model.subarray(0, 8 * PAGE))).toBe(0);
    return all;
  }

  const ranges = [
    [0, PAGE],
    [PAGE, 3 * PAGE],
    [100, 50],
    [PAGE - 1, 2],
    [PAGE - 10, 2 * PAGE + 20],
    [2 * PAGE, 100],
    [3 * PAGE - 100, 100],
    [5, 7 * PAGE],
  ] as const;

  it.each(ranges)(
    "a trim at %i of %i bytes frees whole pages, and leaves parts as they are",
    (offset, length) => {
      const all = filled("a", "b");
      const { model, peer } = all;
      expect(peer.call({ command: command.trim, offset, length }).error).toBe(0);
      const from = Math.ceil(offset / PAGE) * PAGE;
      const to = Math.floor((offset + length) / PAGE) * PAGE;
      if (to > from) model.fill(0, from, to);
      expect(peer.read(0, 9 * PAGE)).toEqual(model.subarray(0, 9 * PAGE));
      expect(all.client.core.slots.onServers).toBe(8 - Math.max(0, to - from) / PAGE);
      expectAtRest(all);
    },
  );

  it.each(ranges)("write-zeroes at %i of %i bytes zeroes exactly these", (offset, length) => {
    for (const flags of [0, flag.noHole]) {
      const all = filled("a", "b");
      const { client, model, peer } = all;
      expect(peer.call({ command: command.writeZeroes, offset, length, flags }).error).toBe(0);
      model.fill(0, offset, offset + length);
      expect(peer.read(0, 9 * PAGE)).toEqual(model.subarray(0, 9 * PAGE));
      const whole = Math.max(0, Math.floor((offset + length) / PAGE) - Math.ceil(offset / PAGE));
      expect(client.core.slots.sameFilled).toBe(flags === 0 ? 0 : whole);
      expect(client.core.slots.onServers).toBe(8 - whole);
      expectAtRest(all);
    }
  });

  it("a page whose last byte is zeroed in parts is kept no more", () => {
    const all = filled("a");
    const { client, peer } = all;
    expect(peer.call({ command: command.writeZeroes, offset: 0, length: 4000 }).error).toBe(0);
    expect(peer.call({ command: command.writeZeroes, offset: 4000, length: 96 }).error).toBe(0);
    expect(client.core.slots.onServers).toBe(7);
    expectAtRest(all);
  });

  it("block status tells data, zeroes and holes apart, from any offset", () => {
    const all = filled("a");
    const { peer } = all;
    const status = (offset: number, length: number, flags = 0) =>
      peer.call({ command: command.blockStatus, offset, length, flags }).extents;
    expect(peer.call({ command: command.trim, offset: PAGE, length: PAGE }).error).toBe(0);
    const zeroes = { command: command.writeZeroes, offset: 2 * PAGE, length: 2 * PAGE, flags: flag.noHole };
    expect(peer.call(zeroes).error).toBe(0);
    expect(peer.write(4 * PAGE, Buffer.alloc(PAGE, 1))).toBe(0);
    expect(status(0, 10 * PAGE)).toEqual([
      [PAGE, 0],
      [PAGE, HOLE | ZERO],
      [2 * PAGE, ZERO],
      [4 * PAGE, 0],
      [2 * PAGE, HOLE | ZERO],
    ]);
    expect(status(PAGE + 100, 2 * PAGE)).toEqual([
      [PAGE - 100, HOLE | ZERO],
      [PAGE + 100, ZERO],
    ]);
    expect(status(PAGE, 5 * PAGE, flag.reqOne)).toEqual([[PAGE, HOLE | ZERO]]);
    expectAtRest(all);
  });

  it("block status calls a slot data from the moment its write is taken", () => {
    const all = setUp("a");
    const { client, peer } = all;
    all.wires[0]!.toServer = false;
    const write = peer.ask({ command: command.write, offset: 0, payload: pageOf(1) });
    expect(peer.call({ command: command.blockStatus, offset: 0, length: 2 * PAGE }).extents).toEqual([
      [PAGE, 0],
      [PAGE, HOLE | ZERO],
    ]);
    expect(peer.answer(write)).toBeUndefined();
    all.wires[0]!.toServer = true;
    peer.exchange();
    expect(peer.answer(write)?.error).toBe(0);
    expect(client.core.slots.onServers).toBe(1);
    expectAtRest(all);
  });

  it("a long range takes several turns, others are answered meanwhile, and it ends", () => {
    const slots = 100_000;
    const client = new TestClient({ slots, frames: 256, peerBlocks: 256, nbdBlocks: 64 });
    const peer = new NbdTester(client);
    const other = new NbdTester(client);
    for (let slot = 0; slot < slots; slot += 1) client.core.slots.setSameFilled(slot, 1, 1);
    const trim = peer.ask({ command: command.trim, offset: 0, length: slots * PAGE });
    client.turn();
    expect(client.core.slots.sameFilled).toBeGreaterThan(0);
    const read = other.ask({ command: command.read, offset: (slots - 1) * PAGE, length: 8 });
    other.readAnswers();
    expect(other.answer(read)?.data).toEqual(Buffer.from([1, 0, 0, 0, 1, 0, 0, 0]));
    for (let turn = 0; turn < 100 && client.front.requestsInFlight > 0; turn += 1) client.turn();
    peer.exchange();
    expect(peer.answer(trim)?.error).toBe(0);
    expect(client.core.slots.sameFilled).toBe(0);
  });
});
