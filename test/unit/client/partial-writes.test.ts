import { describe, expect, it } from "vitest";
import { memoryServer, pageOf, TestClient, type Wire } from "../../support/cores.ts";
import { equalBuffers, NbdTester } from "../../support/nbd-tester.ts";
import { nbd } from "../../support/raw-nbd.ts";

expect.addEqualityTesters([equalBuffers]);

const PAGE = 4096;
const { command } = nbd;

/** A client with pages on a server that is slow: nothing comes from it until `release`. */
function setUp(): { client: TestClient; wire: Wire; peer: NbdTester; release: () => void; model: Buffer } {
  const client = new TestClient({ slots: 16, frames: 128, peerBlocks: 256, nbdBlocks: 64 });
  const wire = client.join(memoryServer("a"));
  const peer = new NbdTester(client);
  const model = Buffer.concat([pageOf(1), pageOf(2)]);
  expect(peer.write(0, model)).toBe(0);
  wire.toClient = false;
  const release = (): void => {
    wire.toClient = true;
    peer.exchange();
  };
  return { client, wire, peer, release, model };
}

describe("parts of one page, written at once", () => {
  it("all stay, in the order in which they were sent", () => {
    const { client, peer, release, model } = setUp();
    const parts = [...Array(30).keys()].map((i) => {
      const from = (i * 997) % 4000;
      const payload = Buffer.alloc(96, i + 1);
      payload.copy(model, from);
      return peer.ask({ command: command.write, offset: from, payload });
    });
    peer.exchange();
    expect(parts.map((cookie) => peer.answer(cookie))).toEqual(parts.map(() => undefined));
    release();
    expect(parts.map((cookie) => peer.answer(cookie)?.error)).toEqual(parts.map(() => 0));
    expect(peer.read(0, 2 * PAGE)).toEqual(model);
    expect(client.core.frames.used).toBe(0);
    expect(client.wires[0]!.server.snapshot().pagesHeld).toBe(2);
  });

  it.each([
    [
      "a whole page",
      (peer: NbdTester) => peer.ask({ command: command.write, offset: 0, payload: pageOf(50) }),
    ],
    ["a trim", (peer: NbdTester) => peer.ask({ command: command.trim, offset: 0, length: PAGE })],
    ["zeroes", (peer: NbdTester) => peer.ask({ command: command.writeZeroes, offset: 0, length: PAGE })],
  ])("and %s between them: what was sent later stands", (what, between) => {
    const { client, peer, release, model } = setUp();
    const first = peer.ask({ command: command.write, offset: 10, payload: Buffer.alloc(20, 0xaa) });
    const middle = between(peer);
    const last = peer.ask({ command: command.write, offset: 100, payload: Buffer.alloc(20, 0xbb) });
    release();
    expect([first, middle, last].map((cookie) => peer.answer(cookie)?.error)).toEqual([0, 0, 0]);
    if (what === "a whole page") model.set(pageOf(50), 0);
    else model.fill(0, 0, PAGE);
    model.fill(0xbb, 100, 120);
    expect(peer.read(0, 2 * PAGE)).toEqual(model);
    expect(client.core.frames.used).toBe(0);
    expect(client.front.requestsInFlight).toBe(0);
  });

  it("by several connections, with the link lost meanwhile", () => {
    const { client, wire, peer, model } = setUp();
    const peers = [peer, new NbdTester(client), new NbdTester(client)];
    const cookies = peers.map((one, i) => {
      const payload = Buffer.alloc(PAGE, i + 1);
      payload.copy(model, 100 + i * 1000);
      return one.ask({ command: command.write, offset: 100 + i * 1000, payload });
    });
    client.pump();
    client.cut(wire);
    client.pump();
    expect(peers.map((one, i) => one.answer(cookies[i]!))).toEqual([undefined, undefined, undefined]);
    client.join(wire.server);
    for (const one of peers) one.exchange();
    expect(peers.map((one, i) => one.answer(cookies[i]!)?.error)).toEqual([0, 0, 0]);
    expect(peer.read(0, 2 * PAGE)).toEqual(model);
    expect(client.core.frames.used).toBe(0);
  });

  it("a part that ends in one page and begins in the next waits for both", () => {
    const { client, peer, release, model } = setUp();
    const cookie = peer.ask({ command: command.write, offset: PAGE - 5, payload: Buffer.from("0123456789") });
    release();
    Buffer.from("0123456789").copy(model, PAGE - 5);
    expect(peer.answer(cookie)?.error).toBe(0);
    expect(peer.read(0, 2 * PAGE)).toEqual(model);
    expect(client.core.frames.used).toBe(0);
  });

  it("leave nothing held when their client vanishes in the middle of one", () => {
    const { client, peer, release } = setUp();
    const other = new NbdTester(client);
    const header = Buffer.alloc(28);
    header.writeUInt32BE(nbd.requestMagic, 0);
    header.writeUInt16BE(command.write, 6);
    header.writeBigUInt64BE(10n, 16);
    header.writeUInt32BE(3 * PAGE, 24);
    other.ask({ command: command.write, offset: 5, payload: Buffer.alloc(10, 5) });
    other.send(header, Buffer.alloc(PAGE, 3));
    expect(client.core.frames.used).toBeGreaterThan(0);
    other.disconnect();
    release();
    expect(client.core.frames.used).toBe(0);
    expect(client.front.requestsInFlight).toBe(0);
    expect(peer.read(5, 10)).toHaveLength(10);
  });
});
