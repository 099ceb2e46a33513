import { describe, expect, test } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { memoryServer, NbdPeer, nbdRequest, pageOf, TestClient } from "../../support/cores.ts";

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;

describe("a client that never reads", () => {
  test.each([
    { what: "flushes", request: nbdRequest(FLUSH, 0, 0), clients: 1 },
    { what: "requests that are refused", request: nbdRequest(99, 0, 0), clients: 1 },
    { what: "flushes, of eight clients", request: nbdRequest(FLUSH, 0, 0), clients: 8 },
    { what: "requests that are refused, of eight clients", request: nbdRequest(99, 0, 0), clients: 8 },
  ])("and floods with $what costs no other its connection", ({ request, clients }) => {
    const client = new TestClient();
    client.join(memoryServer("a"));
    const good = new NbdPeer(client);
    const floods = [...Array(clients).keys()].map(() => new NbdPeer(client));
    const chunk = Buffer.concat(Array(limits.receiveBytesMax / 32).fill(request));
    for (let round = 0; round < 400 / clients; round += 1) {
      for (const flood of floods) {
        if (flood.ended === undefined && flood.unread < chunk.length) flood.send(chunk);
        else flood.feed();
      }
      good.send(nbdRequest(READ, 0, 4096));
      client.pump();
      good.feed();
      expect(good.ended).toBeUndefined();
      expect(good.answers()).toHaveLength(16 + 4096);
    }
    // Once they read, they get all they asked for.
    for (const flood of floods) {
      for (let answered = true; answered; ) {
        answered = flood.answers().length > 0;
        client.pump();
        flood.feed();
      }
      expect(flood.unread).toBe(0);
    }
  });
});

test("a client that vanishes in the middle of a long trim trims nothing that is written after it", () => {
  const slots = 4 * limits.zeroSlotsPerTurn;
  const client = new TestClient({ slots });
  client.join(memoryServer("a"));
  const first = new NbdPeer(client);
  first.send(nbdRequest(TRIM, 0, slots * 4096));
  first.disconnect();
  const second = new NbdPeer(client);
  second.send(nbdRequest(WRITE, (slots - 1) * 4096, 4096), pageOf(7));
  client.core.flush(0);
  client.deliverToServer(client.wires[0]!);
  client.deliverToClient(client.wires[0]!);
  expect(second.answers()).toHaveLength(16);
  for (let turn = 0; turn < 8; turn += 1) client.pump();
  expect(client.front.requestsInFlight).toBe(0);
  const read = client.read(slots - 1);
  client.pump();
  expect(Buffer.compare(read.bytes!, pageOf(7))).toBe(0);
});

test("many long trims at once take one turn no longer than one of them", () => {
  const slots = 4 * limits.zeroSlotsPerTurn;
  const client = new TestClient({ slots });
  const count = 16;
  for (let slot = 0; slot < slots; slot += 1) client.core.slots.setSameFilled(slot, 1, 1);
  const peer = new NbdPeer(client);
  const part = (slots / count) * 4096;
  let zeroed = 0;
  const turns: number[] = [];
  peer.send(...[...Array(count).keys()].map((i) => nbdRequest(TRIM, i * part, part)));
  do {
    const now = slots - client.core.slots.sameFilled;
    turns.push(now - zeroed);
    zeroed = now;
    client.turn();
  } while (client.front.requestsInFlight > 0 && turns.length < 100);
  expect(Math.max(...turns)).toBeLessThanOrEqual(limits.zeroSlotsPerTurn);
  expect(client.core.slots.sameFilled).toBe(0);
  expect(peer.answers()).toHaveLength(16 * count);
});
