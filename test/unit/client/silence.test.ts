import { expect, test } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

/** Ticks until `untilMs`, with whatever moves in between. */
function live(client: TestClient, untilMs: number): void {
  while (client.nowMs < untilMs) {
    client.nowMs += limits.tickMs;
    client.core.tick(client.nowMs);
    client.pump();
  }
}

test("the client itself stood still for long: no server is given up for that", () => {
  const client = new TestClient();
  const wires = [client.join(memoryServer("a")), client.join(memoryServer("b"))];
  live(client, 1000);
  for (const wire of wires) wire.toClient = false;
  const writes = [...Array(100).keys()].map((slot) => client.write(slot, pageOf(slot)));
  client.pump();
  client.nowMs += 10 * limits.linkSilenceMsMax;
  // Timers come first after a pause, then what has arrived meanwhile.
  client.core.tick(client.nowMs);
  expect(client.core.counters.linksLost).toBe(0);
  for (const wire of wires) wire.toClient = true;
  client.pump();
  expect(writes.every((write) => write.done)).toBe(true);
  // A server that is silent although the client runs is given up all the same.
  wires[0]!.toClient = false;
  live(client, client.nowMs + limits.linkPingMs + limits.linkSilenceMsMax + 500);
  expect(client.core.counters.linksLost).toBe(1);
});

test("a server that answers pings and writes but never a read is given up, and asked again", () => {
  const client = new TestClient();
  const server = memoryServer("a");
  const wire = client.join(server);
  client.write(1, pageOf(1));
  client.pump();
  const read = client.read(1);
  client.turn();
  // The request gets lost on its way; everything else goes on.
  wire.clientOut.consume(wire.clientOut.queuedBytes);
  for (let slot = 2; client.nowMs < 2 * limits.linkAnswerMsMax && client.wires.includes(wire); slot += 1) {
    client.write(slot, pageOf(slot));
    live(client, client.nowMs + 500);
  }
  expect(client.wires).not.toContain(wire);
  client.join(server);
  expect(read.result).toBe(PageResult.OK);
  expect(Buffer.compare(read.bytes!, pageOf(1))).toBe(0);
});
