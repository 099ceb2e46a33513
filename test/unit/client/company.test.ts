import { describe, expect, it } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { memoryServer, type Outcome, pageOf, TestClient } from "../../support/cores.ts";

/** Rounds after which something that others keep passing is done, at the latest. */
const ROUNDS_MAX = 20;

/** A read of 8 pages beside 16 writers of 32 pages each, as of a kernel that swaps out; rounds until it is done. */
function readBesideWriters(servers: number, lag: number, redundancy: "none" | "mirror" | "parity"): number {
  const client = new TestClient({ redundancy, frames: 8192 });
  for (let i = 0; i < servers; i += 1) client.join(memoryServer(String.fromCharCode(97 + i), 60_000));
  const wires = [...client.wires];
  for (let slot = 0; slot < 8; slot += 1) client.write(slot, pageOf(slot));
  client.pump();
  const prng = new Prng(3);
  const under: Outcome[][] = [];
  let at = 0;
  const keepWriting = (): void => {
    for (let w = 0; w < 16; w += 1) {
      if (under[w]?.every((one) => one.done) === false || !prng.chance(0.5)) continue;
      at = (at + 32) % 20_000;
      under[w] = [...Array(32).keys()].map((i) => client.write(100 + at + i, pageOf(77)));
    }
  };
  const round = (): void => {
    client.nowMs += 1;
    const moves = wires.filter((_, i) => (client.nowMs + i) % lag === 0);
    for (const wire of moves) client.deliverToClient(wire);
    keepWriting();
    client.turn(client.nowMs % 100 === 0);
    for (const wire of moves) client.deliverToServer(wire);
  };
  for (let i = 0; i < 10; i += 1) round();
  const reads = [...Array(8).keys()].map((slot) => client.read(slot));
  let rounds = 0;
  for (; rounds < 200 && !reads.every((one) => one.done); rounds += 1) round();
  return rounds;
}

describe("pages waited for company until a server owed nothing, which never came", () => {
  it.each([
    ["none", 1, 1],
    ["none", 2, 2],
    ["mirror", 2, 1],
    ["mirror", 4, 1],
    ["parity", 1, 1],
    ["parity", 4, 2],
  ] as const)(
    "a read beside writers (%s, %i servers, answers %i rounds late)",
    (redundancy, servers, lag) => {
      expect(readBesideWriters(servers, lag, redundancy)).toBeLessThan(ROUNDS_MAX);
    },
  );

  it("a write beside readers whose requests overlap", () => {
    const client = new TestClient();
    const wire = client.join(memoryServer("a"));
    for (let slot = 0; slot < 64; slot += 1) client.write(slot, pageOf(slot));
    client.pump();
    const readSome = (from: number): void => {
      for (let i = 0; i < 16; i += 1) client.read((from + i) % 64);
      client.turn();
      client.deliverToServer(wire);
    };
    readSome(0);
    const write = client.write(1000, pageOf(1000));
    let rounds = 0;
    for (; rounds < ROUNDS_MAX && !write.done; rounds += 1) {
      // The answer to the batch before comes when the next one is out.
      const owed = wire.serverOut.queuedBytes;
      readSome(rounds);
      client.deliverToClient(wire, owed);
    }
    expect(write.done).toBe(true);
  });
});
