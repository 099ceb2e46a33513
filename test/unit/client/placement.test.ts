import { expect, test } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

test("the server with the most room does not read: the others take the pages at once", () => {
  const client = new TestClient({ frames: 6000 });
  const deaf = client.join(memoryServer("a", 100_000));
  client.join(memoryServer("b", 10_000));
  deaf.toServer = false;
  const writes = [...Array(5000).keys()].map((slot) => client.write(slot, pageOf(slot)));
  client.pump();
  const waiting = writes.filter((write) => !write.done).length;
  expect(waiting).toBeLessThanOrEqual(limits.peerQueueBytesSoft / 4096 + 32);
});

test("a server that says FULL with room in its figures is not asked again in the same breath", () => {
  const client = new TestClient();
  // Its figures are those of a store that could take everything, and it has room for little.
  const server = memoryServer("a", 64);
  const free = 2 ** 32 - 1;
  Object.defineProperty(server, "capacity", { get: () => ({ free, limit: free, used: 0 }) });
  const liar = client.join(server);
  const writes = [...Array(96).keys()].map((slot) => client.write(slot, pageOf(slot)));
  for (let turn = 0; turn < 50; turn += 1) {
    client.turn();
    client.deliverToServer(liar);
    client.deliverToClient(liar);
  }
  expect(liar.server.snapshot().counters.fullRefusals).toBeLessThan(3);
  // It is asked now and then: room may have come.
  for (; client.nowMs < 5_000; client.nowMs += limits.tickMs) {
    client.core.tick(client.nowMs);
    for (let i = 0; i < 3; i += 1) {
      client.turn();
      client.deliverToServer(liar);
      client.deliverToClient(liar);
    }
  }
  expect(liar.server.snapshot().counters.fullRefusals).toBeGreaterThan(3);
  client.join(memoryServer("b", 200));
  expect(writes.every((write) => write.done)).toBe(true);
});

test("the pages of a long request share their groups, whichever servers answer first", () => {
  const client = new TestClient({ redundancy: "parity" });
  const wires = ["a", "b", "c", "d"].map((name) => client.join(memoryServer(name)));
  const groups = client.core.redundancy.groups!;
  for (let request = 0; request < 50; request += 1) {
    const slots = [...Array(32).keys()].map((page) => request * 32 + page);
    const writes = slots.map((slot) => client.write(slot, pageOf(slot)));
    client.turn();
    for (const wire of request % 2 === 0 ? wires : wires.toReversed()) client.deliverToServer(wire);
    client.pump();
    expect(writes.every((write) => write.done)).toBe(true);
    const inGroups = new Map<number, number>();
    for (const slot of slots) {
      const group = groups.groupOf(groups.liveOf(slot));
      inGroups.set(group, (inGroups.get(group) ?? 0) + 1);
    }
    expect([...inGroups.values()]).toEqual(Array(8).fill(4));
  }
});

test("pages go past a server whose machine needs its memory, wait where all do, and go on once it lends again", () => {
  const client = new TestClient();
  const [a, b] = [memoryServer("a"), memoryServer("b")];
  client.join(a);
  client.join(b);
  client.write(0, pageOf(0));
  client.pump();
  a.store.lend(0);
  const past = [...Array(64).keys()].map((slot) => client.write(slot, pageOf(slot + 1)));
  client.pump();
  expect(past.every((write) => write.done)).toBe(true);
  expect(b.store.used).toBeGreaterThanOrEqual(63);
  b.store.lend(0);
  const waiting = [...Array(64).keys()].map((slot) => client.write(64 + slot, pageOf(slot)));
  client.pump();
  expect(waiting.some((write) => write.done)).toBe(false);
  expect(client.core.starved).toBe(true);
  // What it frees meanwhile is its machine's.
  for (let slot = 0; slot < 32; slot += 1) client.core.zeroPage(slot, true, { pageDone: () => {} });
  client.pump();
  expect(b.capacity).toEqual({ free: 0, limit: b.store.used, used: b.store.used });
  expect(waiting.some((write) => write.done)).toBe(false);
  a.store.lend(a.store.capacity);
  // It is told at the next sign of life of an idle link.
  for (client.nowMs += limits.linkPingMs + 1; client.nowMs < 5_000; client.nowMs += limits.tickMs) {
    client.core.tick(client.nowMs);
    client.pump();
  }
  expect(waiting.every((write) => write.done)).toBe(true);
  expect([a.store.used > 60, b.store.used]).toEqual([true, 32]);
  a.check();
  b.check();
});
