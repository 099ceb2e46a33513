import { describe, expect, it } from "vitest";
import { FrameType, Role, WireError } from "../../../proto/peer/index.ts";
import { newCore, pageOf, TestClient } from "./test-client.ts";

const parity = { role: Role.PARITY, epoch: 0, name: "parity" } as const;
const ids = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe("a parity server's connection", () => {
  it("reaches the pages of the client whose identity it brings, and no other's", () => {
    const core = newCore();
    const client = new TestClient(core, { identity: 1 }).enter();
    const other = new TestClient(core, { identity: 2 }).enter();
    client.put([1, 2]).ask();
    other.put([3]).ask();
    const server = new TestClient(core, { ...parity, identity: 1 }).enter();
    const got = server.get([1, 3]).ask();
    expect(got.metas.map((meta) => meta.status)).toEqual([0, 1]);
    expect(Buffer.compare(got.pages.get(0)!, pageOf(1))).toBe(0);
    expect(server.put([7]).ask().acks).toMatchObject([{ accepted: 1, status: 0 }]);
    expect(client.get([7]).ask().metas[0]!.status).toBe(0);
    server.invalidate([2]).send();
    expect(client.get([2]).ask().metas[0]!.status).toBe(1);
    expect(server.bare(FrameType.PING, 5).ask()).toMatchObject({ type: FrameType.PONG, seq: 5 });
  });

  it("may not list, nor say GOODBYE", () => {
    for (const type of [FrameType.LIST, FrameType.GOODBYE]) {
      const core = newCore();
      const client = new TestClient(core).enter();
      client.put([1]).ask();
      const server = new TestClient(core, parity).enter();
      expect(server.bare(type).ask()).toMatchObject({ type: FrameType.ERROR, aux: WireError.PROTOCOL });
      expect(client.get([1]).ask().metas[0]!.status).toBe(0);
    }
  });

  it("has no part in the client's epoch and name", () => {
    const core = newCore();
    const client = new TestClient(core, { epoch: 4, name: "c" }).enter();
    client.put([1]).ask();
    const server = new TestClient(core, parity).enter();
    expect(core.snapshot().clients).toMatchObject([{ name: "c", connections: 1 }]);
    // A newer instance of the client ends the older ones, and leaves the parity server its connection.
    const fresh = new TestClient(core, { epoch: 5, name: "c" }).enter();
    expect(client.connection.closed).toMatchObject({ wireCode: WireError.STALE_EPOCH });
    expect(server.get([1]).ask().metas[0]!.status).toBe(0);
    // One with an epoch that no client has is not looked at either.
    new TestClient(core, { ...parity, epoch: 9 }).enter();
    expect(fresh.connection.closed).toBeUndefined();
    new TestClient(core, { epoch: 5, name: "c" }).enter();
  });

  it("may come before the client, which then has the epoch it brings", () => {
    const core = newCore();
    const server = new TestClient(core, { ...parity, epoch: 3 }).enter();
    server.put([1]).ask();
    const client = new TestClient(core, { epoch: 0, name: "c" }).enter();
    expect(client.get([1]).ask().metas[0]!.status).toBe(0);
    expect(core.snapshot().clients).toMatchObject([{ name: "c", pages: 1, connections: 1 }]);
  });

  it("does not keep a vanished client's pages past the grace time, and ends with them", () => {
    const core = newCore({ clientGraceMs: 1000 });
    const client = new TestClient(core).enter();
    client.put(ids(0, 5)).ask();
    const server = new TestClient(core, parity).enter();
    client.connection.disconnected();
    core.tick(0);
    core.tick(900);
    const second = new TestClient(core, parity).enter();
    second.connection.disconnected();
    expect(core.capacity.used).toBe(5);
    core.tick(1000);
    expect(core.capacity.used).toBe(0);
    expect([server.connection.closed, server.closedTold]).toEqual(["ended", 1]);
    expect(core.snapshot()).toMatchObject({ clients: [], connections: 0 });
    core.check();
  });

  it("ends when the client says GOODBYE", () => {
    const core = newCore();
    const client = new TestClient(core).enter();
    const server = new TestClient(core, parity).enter();
    client.bare(FrameType.GOODBYE).send();
    expect([client.connection.closed, server.connection.closed]).toEqual(["ended", "ended"]);
  });

  it("holds its client's place in the table", () => {
    const core = newCore({ clientsMax: 1 });
    const server = new TestClient(core, { ...parity, identity: 1 }).enter();
    expect(() => new TestClient(core, { identity: 2 }).enter()).toThrow(/not welcome/);
    server.connection.disconnected();
    new TestClient(core, { identity: 2 }).enter();
  });
});
