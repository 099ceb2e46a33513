import { expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

it("reads for which no queue had room were given back twice when their link ended, and again without end", () => {
  const client = new TestClient();
  const server = memoryServer("a");
  client.join(server);
  for (let slot = 0; slot < 3; slot += 1) client.write(slot, pageOf(slot));
  client.pump();
  const blocks = Array.from({ length: client.peerPool.left }, () => client.peerPool.take());
  const reads = [0, 1, 2].map((slot) => client.read(slot));
  client.turn();
  for (const block of blocks) client.peerPool.give(block);
  expect(client.wires).toHaveLength(0);
  client.join(server);
  client.pump();
  expect(reads.every(({ done }) => done)).toBe(true);
  client.nowMs += limits.tickMs;
  client.pump();
  expect(client.core.frames.used).toBe(0);
});

it("a server was given up as silent for a list that it had not been asked for, since no block was free", () => {
  const client = new TestClient();
  const { link } = client.join(memoryServer("a"));
  client.pump();
  const blocks = Array.from({ length: client.peerPool.left }, () => client.peerPool.take());
  link.list();
  const end = client.nowMs + limits.linkSilenceMsMax + 1_000;
  const pass = (untilMs: number): void => {
    while (client.nowMs < untilMs) {
      client.nowMs += limits.tickMs;
      client.core.tick(client.nowMs);
      client.pump();
    }
  };
  pass(end);
  expect(link.closed).toBeUndefined();
  for (const block of blocks) client.peerPool.give(block);
  pass(end + 500);
  expect(link.closed).toBeUndefined();
  expect(link.owed).toBe(false);
});
