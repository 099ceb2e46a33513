import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import type { NbdFront } from "../../../src/client/nbd-front.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";
import { equalBuffers, NbdTester } from "../../support/nbd-tester.ts";
import { nbd } from "../../support/raw-nbd.ts";

expect.addEqualityTesters([equalBuffers]);

const PAGE = 4096;
const { command } = nbd;
const FRAMES = 128;

function newClient(): TestClient {
  const client = new TestClient({ slots: 4096, frames: FRAMES, peerBlocks: 256, nbdBlocks: 64 });
  client.join(memoryServer("a", 8192));
  return client;
}

const pages = (count: number, from = 0): Buffer =>
  Buffer.concat([...Array(count).keys()].map((i) => Buffer.from(pageOf(from + i))));

/** Time passes for the front as well as for the core. */
function pass(client: TestClient, ms: number): void {
  for (const end = client.nowMs + ms; client.nowMs < end; client.nowMs += limits.tickMs) {
    client.core.tick(client.nowMs);
    client.front.tick(client.nowMs);
    client.pump();
  }
}

/** Requests of `count` frames that admission would take at once from somebody new. */
function admits(front: NbdFront, frames: number, answerBytes: number): boolean {
  const who = {
    heldFrames: 0,
    queuedBytes: 0,
    idleMs: 0,
    retry() {},
    closeForContention() {},
  };
  const admitted = front.admission.admit(who, frames, answerBytes);
  if (admitted) front.admission.release(who, frames, answerBytes);
  front.admission.leave(who);
  return admitted;
}

/** A client that has sent so much of a write that takes nearly all frames. */
function writeBegun(client: TestClient, ...payload: Buffer[]): NbdTester {
  const half = new NbdTester(client);
  const header = Buffer.alloc(28);
  header.writeUInt32BE(nbd.requestMagic, 0);
  header.writeUInt16BE(command.write, 6);
  header.writeUInt32BE((FRAMES - 10) * PAGE, 24);
  half.send(header, ...payload);
  return half;
}

/** Everything was given back: a request for all there is would be taken. */
function expectAtRest(client: TestClient): void {
  client.pump();
  expect(client.core.frames.used).toBe(0);
  expect(client.front.requestsInFlight).toBe(0);
  expect(client.nbdPool.taken).toBe(0);
  client.front.flush();
  expect(admits(client.front, FRAMES, 60 * limits.nbdBlockBytes)).toBe(true);
  expect(admits(client.front, FRAMES + 1, 0)).toBe(false);
}

describe("admission", () => {
  it("takes no more pages than there are frames, and the rest when they are free again", () => {
    const client = newClient();
    const wire = client.wires[0]!;
    wire.toClient = false;
    const peers = [...Array(4).keys()].map(() => new NbdTester(client));
    const cookies: [NbdTester, bigint][] = [];
    for (let i = 0; i < 40; i += 1) {
      const peer = peers[i % 4]!;
      cookies.push([
        peer,
        peer.ask({ command: command.write, offset: i * 16 * PAGE, payload: pages(16, i * 16) }),
      ]);
      client.pump();
      expect(client.core.frames.used).toBeLessThanOrEqual(FRAMES);
    }
    expect(client.core.frames.used).toBeGreaterThan(FRAMES / 2);
    expect(peers.some((peer) => peer.unsentBytes > 0)).toBe(true);
    wire.toClient = true;
    for (let round = 0; round < 40; round += 1) for (const peer of peers) peer.exchange();
    expect(cookies.map(([peer, cookie]) => peer.answer(cookie)?.error)).toEqual(cookies.map(() => 0));
    const [reader] = peers;
    for (let i = 0; i < 40; i += 1) expect(reader!.read(i * 16 * PAGE, 16 * PAGE)).toEqual(pages(16, i * 16));
    expectAtRest(client);
  });

  it("lets a large request in among small ones that never stop", () => {
    const client = newClient();
    client.join(memoryServer("b", 8192));
    const { wires } = client;
    const small = [new NbdTester(client), new NbdTester(client)];
    const large = new NbdTester(client);
    let cookie: bigint | undefined;
    let asked = 0;
    let rounds = 0;
    for (; (cookie === undefined || large.answer(cookie) === undefined) && rounds < 20; rounds += 1) {
      // Small requests go to one server while those at the other are answered: some are always under way.
      const now = rounds % 2;
      for (const [i, wire] of wires.entries()) {
        wire.toClient = false;
        client.core.table.at(wire.link.holder).full = i !== now;
      }
      small[now]!.ask({ command: command.write, offset: now * PAGE, payload: pageOf(rounds) });
      asked += 1;
      client.turn();
      if (rounds === 1) cookie = large.ask({ command: command.write, offset: 0, payload: pages(FRAMES) });
      wires[1 - now]!.toClient = true;
      client.pump();
      for (const peer of [...small, large]) {
        peer.send();
        peer.readAnswers();
      }
    }
    expect(large.answer(cookie!)?.error).toBe(0);
    expect(rounds).toBeLessThan(8);
    for (const wire of wires) wire.toClient = true;
    for (const peer of [...small, ...small]) peer.exchange();
    expect(small[0]!.answered + small[1]!.answered).toBe(asked);
    expectAtRest(client);
  });

  it("does not let a client that never takes its answers hold up another", () => {
    const client = newClient();
    const writer = new NbdTester(client);
    for (let slot = 0; slot < 1024; slot += 64) expect(writer.write(slot * PAGE, pages(64, slot))).toBe(0);
    const hog = new NbdTester(client);
    hog.reads = false;
    const asked = [...Array(64).keys()].map((i) =>
      hog.ask({ command: command.read, offset: (i % 16) * 64 * PAGE, length: 64 * PAGE }),
    );
    hog.exchange();
    expect(hog.out.queuedBytes).toBeGreaterThan(64 * PAGE);
    expect(hog.out.queuedBytes).toBeLessThanOrEqual(64 * limits.nbdBlockBytes);
    const other = new NbdTester(client);
    for (let slot = 0; slot < 1024; slot += 64) {
      expect(other.read(slot * PAGE, 64 * PAGE)).toEqual(pages(64, slot));
    }
    pass(client, 2 * limits.nbdIdleUnderContentionMsMax);
    // Nobody has waited for it, so it may take its time; and gets all that it asked for.
    expect(hog.over).toBeUndefined();
    hog.reads = true;
    for (let round = 0; round < 64; round += 1) hog.exchange();
    for (const [i, cookie] of asked.entries()) {
      expect(hog.answer(cookie)?.data).toEqual(pages(64, (i % 16) * 64));
    }
    expectAtRest(client);
  });

  it("counts answers that a closed connection still has to send, until its socket is gone", () => {
    const client = newClient();
    const hog = new NbdTester(client);
    hog.reads = false;
    for (let i = 0; i < 12; i += 1) hog.ask({ command: command.read, offset: 0, length: 64 * PAGE });
    hog.exchange();
    const queued = hog.out.queuedBytes;
    expect(queued).toBeGreaterThan(30 * limits.nbdBlockBytes);
    hog.connection.session.close("for a reason of ours");
    client.pump();
    expect(hog.out.queuedBytes).toBe(queued);
    const room = 60 * limits.nbdBlockBytes - queued;
    expect(admits(client.front, 1, room + 8 * limits.nbdBlockBytes)).toBe(false);
    hog.disconnect();
    client.pump();
    expect(admits(client.front, 1, room + 8 * limits.nbdBlockBytes)).toBe(true);
    expectAtRest(client);
  });

  it("closes a client that sends half a payload for ever, while others wait for its frames", () => {
    const client = newClient();
    const half = writeBegun(client, pages(1), Buffer.alloc(100));
    pass(client, 2 * limits.nbdIdleUnderContentionMsMax);
    // Nobody waits: it may take its time.
    expect(half.over).toBeUndefined();
    const other = new NbdTester(client);
    const write = other.ask({ command: command.write, offset: 500 * PAGE, payload: pages(64) });
    pass(client, limits.nbdIdleUnderContentionMsMax / 2);
    expect(other.answer(write)).toBeUndefined();
    pass(client, limits.nbdIdleUnderContentionMsMax);
    expect(half.over).toBe("finished");
    other.exchange();
    expect(other.answer(write)?.error).toBe(0);
    half.disconnect();
    expectAtRest(client);
  });

  it("closed a client whose answer came after a long time in which it, and others, had to wait", () => {
    const client = newClient();
    const { server } = client.wires[0]!;
    client.cut(client.wires[0]!);
    const [patient, other] = [new NbdTester(client), new NbdTester(client)];
    const asked = patient.ask({ command: command.write, offset: 0, payload: pages(100) });
    const waiting = other.ask({ command: command.write, offset: 500 * PAGE, payload: pages(100) });
    pass(client, 2 * limits.nbdIdleUnderContentionMsMax);
    const wire = client.connect(server);
    while (patient.out.queuedBytes === 0) {
      client.turn(true);
      client.deliverToServer(wire);
      client.deliverToClient(wire);
    }
    client.front.tick(client.nowMs);
    client.front.tick(client.nowMs + limits.tickMs);
    expect([patient.over, other.over]).toEqual([undefined, undefined]);
    for (const each of [patient, other]) each.exchange();
    expect([patient.answer(asked)?.error, other.answer(waiting)?.error]).toEqual([0, 0]);
    expectAtRest(client);
  });

  it("closed a client in the middle of a request when the machine had slept, while another waited", () => {
    const client = newClient();
    const half = writeBegun(client, pages(1));
    const other = new NbdTester(client);
    const write = other.ask({ command: command.write, offset: 500 * PAGE, payload: pages(64) });
    pass(client, 1_000);
    client.nowMs += 2 * limits.nbdIdleUnderContentionMsMax;
    pass(client, 1_000);
    expect(half.over).toBeUndefined();
    half.send(pages(FRAMES - 11, 1));
    other.exchange();
    expect(other.answer(write)?.error).toBe(0);
    half.exchange();
    expectAtRest(client);
  });

  it("gives back what a vanished client held, when its pages have settled", () => {
    const client = newClient();
    const wire = client.wires[0]!;
    const gone = new NbdTester(client);
    expect(gone.write(0, pages(32))).toBe(0);
    wire.toClient = false;
    gone.ask({ command: command.read, offset: 0, length: 32 * PAGE });
    gone.ask({ command: command.write, offset: 40 * PAGE, payload: pages(32) });
    gone.ask({ command: command.writeZeroes, offset: 10, length: 20 });
    client.pump();
    expect(client.core.frames.used).toBeGreaterThan(60);
    gone.disconnect();
    expect(client.front.connections).toBe(0);
    wire.toClient = true;
    expectAtRest(client);
    // What it wrote is written all the same.
    expect(new NbdTester(client).read(40 * PAGE, 32 * PAGE)).toEqual(pages(32));
  });

  it("closes who has not chosen an export in time, and nobody else", () => {
    const client = newClient();
    const peer = new NbdTester(client);
    const ended: string[] = [];
    const port = { resume() {}, finish: () => ended.push("slow"), destroy() {} };
    client.front.connect(new OutQueue(client.nbdPool), port, client.nowMs);
    expect([client.front.connections, client.front.clientsServed]).toEqual([2, 1]);
    pass(client, limits.nbdNegotiationMsMax - limits.tickMs);
    expect(ended).toEqual([]);
    pass(client, 3 * limits.tickMs);
    expect(ended).toEqual(["slow"]);
    expect([client.front.connections, peer.over]).toEqual([1, undefined]);
  });
});

describe("choosing an export", () => {
  it("was too late when the machine had slept meanwhile", () => {
    const client = newClient();
    const ended: string[] = [];
    const port = { resume() {}, finish: () => ended.push("slow"), destroy() {} };
    pass(client, limits.tickMs);
    client.front.connect(new OutQueue(client.nbdPool), port, client.nowMs);
    client.nowMs += 6 * limits.nbdNegotiationMsMax;
    pass(client, limits.nbdNegotiationMsMax / 2);
    expect(ended).toEqual([]);
    pass(client, limits.nbdNegotiationMsMax / 2);
    expect(ended).toEqual(["slow"]);
  });
});

describe("shutting down", () => {
  it("answers what is in flight, and refuses the rest", () => {
    const client = newClient();
    const wire = client.wires[0]!;
    const peer = new NbdTester(client);
    wire.toClient = false;
    const write = peer.ask({ command: command.write, offset: 0, payload: pageOf(1) });
    client.pump();
    client.front.shutDown();
    const late = peer.ask({ command: command.read, offset: 0, length: 1 });
    wire.toClient = true;
    peer.exchange();
    expect([peer.answer(write)?.error, peer.answer(late)?.error]).toEqual([0, 108]);
    expectAtRest(client);
  });

  it("answers all that came before DISC, then ends", () => {
    const client = newClient();
    const peer = new NbdTester(client);
    const writes = [0, 1, 2].map((slot) =>
      peer.ask({ command: command.write, offset: slot * PAGE, payload: pageOf(slot) }),
    );
    peer.ask({ command: command.disconnect });
    expect(peer.over).toBeUndefined();
    client.pump();
    peer.readAnswers();
    expect(writes.map((cookie) => peer.answer(cookie)?.error)).toEqual([0, 0, 0]);
    expect(peer.over).toBe("finished");
    expectAtRest(client);
  });
});
