import { createHmac, timingSafeEqual } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameType, type PeerError, type Prover, WireError } from "../../../proto/peer/index.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { newCore, passTime, TestClient } from "./test-client.ts";

const ids = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

function proverOf(key: string): Prover {
  const proof = (label: string, ...parts: Uint8Array[]): Uint8Array => {
    const hmac = createHmac("sha256", key).update(label);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  };
  return { proof, verify: (given, label, ...parts) => timingSafeEqual(given, proof(label, ...parts)) };
}

describe("handshake", () => {
  it("welcomes with the capacity, with and without a key", () => {
    for (const prover of [undefined, proverOf("k")]) {
      const core = newCore({ capacityFrames: 99, prover });
      const client = new TestClient(core, { ...(prover && { prover }) }).hello().send();
      let answers = client.answers();
      if (prover !== undefined) answers = client.send().answers();
      expect(answers.at(-1)).toMatchObject({
        type: FrameType.WELCOME,
        capacity: { free: 99, limit: 99, used: 0 },
      });
      expect(client.put([1]).ask().type).toBe(FrameType.ACK);
    }
  });

  it("is complete at any cut", () => {
    const prover = proverOf("k");
    const client = new TestClient(newCore({ prover }), { prover }).hello().send(1);
    client.answers();
    expect(client.send(1).answers().at(-1)!.type).toBe(FrameType.WELCOME);
  });

  it("refuses a wrong key, a missing one and one too many", () => {
    const expectRefusal = (core: ReturnType<typeof newCore>, client: TestClient, code: number): void => {
      client.hello().send();
      expect((client.connection.closed as PeerError).wireCode).toBe(code);
      expect(client.answers().at(-1)).toMatchObject({ type: FrameType.ERROR, aux: code });
      expect(core.snapshot().clients).toEqual([]);
    };
    const keyed = newCore({ prover: proverOf("k") });
    expectRefusal(keyed, new TestClient(keyed), WireError.KEY_REQUIRED);
    const open = newCore();
    expectRefusal(open, new TestClient(open, { prover: proverOf("k") }), WireError.KEY_NOT_EXPECTED);
    const lying: Prover = { proof: () => new Uint8Array(32), verify: () => true };
    const thief = new TestClient(keyed, { prover: lying }).hello().send();
    thief.answers();
    expect(thief.ask()).toMatchObject({ type: FrameType.ERROR, aux: WireError.KEY_WRONG });
    expect(keyed.snapshot().counters.connectionsRefused).toBe(2);
  });

  it("comes before anything else", () => {
    const core = newCore();
    const client = new TestClient(core).put([1]);
    expect(client.ask()).toMatchObject({ type: FrameType.ERROR, aux: WireError.PROTOCOL });
    expect(core.capacity.used).toBe(0);
    const keyed = newCore({ prover: proverOf("k") });
    const eager = new TestClient(keyed, { prover: proverOf("k") }).hello().get([1]).send();
    expect(eager.connection.closed).toMatchObject({ wireCode: WireError.PROTOCOL });
  });

  it("must be complete in time, and a connection must not fall silent", () => {
    const core = newCore();
    const slow = new TestClient(core).hello();
    slow.feed(slow.script.take().subarray(0, 100));
    const live = new TestClient(core).enter();
    const dead = new TestClient(core, { identity: 2 }).enter();
    const tick = (now: number): void => core.tick(now);
    passTime(tick, 1000, 1000 + limits.handshakeMsMax - 1);
    expect(slow.connection.closed).toBeUndefined();
    tick(1000 + limits.handshakeMsMax);
    expect(slow.answers()).toMatchObject([{ type: FrameType.ERROR, aux: WireError.TIMEOUT }]);
    expect(slow.closedTold).toBe(1);
    for (let now = 7000; now <= 1000 + limits.dataSilenceMsMax; now += 1000) {
      live.bare(FrameType.PING).send();
      tick(now);
      expect(dead.connection.closed === undefined).toBe(now < 1000 + limits.dataSilenceMsMax);
    }
    expect(live.connection.closed).toBeUndefined();
    expect(dead.connection.closed).toMatchObject({ wireCode: WireError.TIMEOUT });
    expect(core.snapshot().connections).toBe(1);
  });
});

describe("a pause of the server itself", () => {
  it("is held against no client", () => {
    const core = newCore();
    const live = new TestClient(core, { identity: 1 }).enter();
    const away = new TestClient(core, { identity: 2 }).enter();
    const young = new TestClient(core);
    away.put([1]).ask();
    away.connection.disconnected();
    core.tick(0);
    core.tick(24 * 3_600_000);
    core.tick(24 * 3_600_000 + 100);
    // A clock that goes back does no harm either.
    core.tick(50);
    expect(live.connection.closed).toBeUndefined();
    expect(young.connection.closed).toBeUndefined();
    expect(core.capacity.used).toBe(1);
  });
});

describe("clients", () => {
  it("may have several connections, all with the same pages", () => {
    const core = newCore();
    const a = new TestClient(core).enter();
    const b = new TestClient(core).enter();
    a.put([1]).ask();
    expect(b.get([1]).ask().metas[0]!.status).toBe(0);
    expect(core.snapshot().clients).toMatchObject([{ name: "client", pages: 1, connections: 2 }]);
  });

  it("of a newer epoch close the older ones; of an older are refused", () => {
    const core = newCore();
    const old = new TestClient(core, { epoch: 4 }).enter();
    old.put([1]).ask();
    const half = old.put([2]).script.take();
    old.feed(half.subarray(0, 500));
    const fresh = new TestClient(core, { epoch: 5 }).enter();
    expect(old.connection.closed).toMatchObject({ wireCode: WireError.STALE_EPOCH });
    expect(old.feed(half.subarray(500))).toBe(half.length - 500);
    expect(old.answers()).toMatchObject([{ type: FrameType.ERROR, aux: WireError.STALE_EPOCH }]);
    expect(
      fresh
        .get([1, 2])
        .ask()
        .metas.map((meta) => meta.status),
    ).toEqual([0, 1]);
    const stale = new TestClient(core, { epoch: 4 }).hello().send();
    expect(stale.answers().at(-1)).toMatchObject({ type: FrameType.ERROR, aux: WireError.STALE_EPOCH });
    expect(core.capacity.used).toBe(1);
    fresh.connection.disconnected();
    new TestClient(core, { epoch: 4 }).hello().send();
    expect(core.snapshot().clients[0]!.connections).toBe(0);
    core.check();
  });

  it("that vanish keep their pages for the grace time, and not longer", () => {
    const core = newCore({ clientGraceMs: 1000, reapFramesPerTick: 10 });
    const other = new TestClient(core, { identity: 2 }).enter();
    other.put([1]).ask();
    const client = new TestClient(core).enter();
    client.put(ids(0, 25)).ask();
    client.connection.disconnected();
    core.tick(100);
    core.tick(1099);
    const again = new TestClient(core).enter();
    expect(again.get(ids(0, 25)).ask().pages.size).toBe(25);
    core.tick(2000);
    again.connection.disconnected();
    core.tick(3000);
    core.tick(3999);
    expect(core.capacity.used).toBe(26);
    const used = [4000, 4001, 4002, 4003].map((now) => {
      core.tick(now);
      core.check();
      return core.capacity.used;
    });
    expect(used).toEqual([16, 6, 1, 1]);
    expect(core.snapshot()).toMatchObject({ clientsLeaving: 0, counters: { reaped: 25 } });
    expect(other.get([1]).ask().pages.size).toBe(1);
    expect(new TestClient(core).enter().get([1]).ask().metas[0]!.status).toBe(1);
  });

  it("that say GOODBYE lose their pages at once, all their connections with them", () => {
    const core = newCore({ reapFramesPerTick: 10 });
    const client = new TestClient(core, { epoch: 9 }).enter();
    const second = new TestClient(core, { epoch: 9 }).enter();
    client.put(ids(0, 25)).ask();
    client.bare(FrameType.GOODBYE).put([77]).send();
    expect([client.connection.closed, second.connection.closed]).toEqual(["ended", "ended"]);
    expect([client.closedTold, second.closedTold]).toEqual([1, 1]);
    expect(client.answers()).toEqual([]);
    expect(core.snapshot().counters.puts).toBe(25);
    // The identity comes back, as a new client, while its old pages are still being freed.
    const again = new TestClient(core, { epoch: 1 }).enter();
    expect(again.get([1]).ask().metas[0]!.status).toBe(1);
    again.put([1], 3).ask();
    for (let now = 0; now < 3; now += 1) core.tick(now);
    expect(core.capacity.used).toBe(1);
    expect(again.get([1]).ask().metas[0]!.status).toBe(0);
    core.check();
  });

  it("are bounded in number; one that is away and has nothing makes room", () => {
    const core = newCore({ clientsMax: 2 });
    const a = new TestClient(core, { identity: 1 }).enter();
    const b = new TestClient(core, { identity: 2 }).enter();
    a.put([1]).ask();
    const refused = new TestClient(core, { identity: 3 }).hello().send();
    expect(refused.answers().at(-1)).toMatchObject({
      type: FrameType.ERROR,
      aux: WireError.TOO_MANY_CLIENTS,
    });
    a.connection.disconnected();
    expect(() => new TestClient(core, { identity: 3 }).enter()).toThrow(/not welcome/);
    b.connection.disconnected();
    new TestClient(core, { identity: 3 }).enter();
    expect(new TestClient(core, { identity: 1 }).enter().get([1]).ask().metas[0]!.status).toBe(0);
  });
});

describe("whatever comes", () => {
  const noise = fc.uint8Array({ maxLength: 3000 });
  const header = fc
    .tuple(fc.integer({ min: 0, max: 0x19 }), fc.nat(3), fc.nat(70_000), fc.nat())
    .map(([type, count, bytes, seq]) => {
      const view = new DataView(new ArrayBuffer(16));
      view.setUint8(0, type);
      view.setUint16(2, count, true);
      view.setUint32(4, [0, count * 8, count * 24, count * 4120, bytes][seq % 5]!, true);
      view.setUint32(8, seq, true);
      view.setUint32(12, seq, true);
      return new Uint8Array(view.buffer);
    });

  it("random bytes before and after the handshake throw nothing and hold nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(noise, header), { maxLength: 12 }), fc.boolean(), (pieces, entered) => {
        const pool = new HeapBlockPool(8);
        const core = newCore({ capacityFrames: 16, blocks: { pool, soft: 4, max: 8 } });
        const good = new TestClient(core, { identity: 9 }).enter();
        good.put([1]).ask();
        const client = new TestClient(core, {}, pool);
        if (entered) client.enter();
        for (const piece of pieces) client.feed(piece);
        core.flush();
        core.check();
        expect(pool.taken).toBeLessThanOrEqual(8);
        expect(core.capacity.used).toBeLessThanOrEqual(16);
        client.connection.disconnected();
        core.check();
        expect(good.get([1]).ask().metas[0]!.status).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("random commands of several clients agree with a model, and the books balance", () => {
    const id = fc.nat(20);
    const step = fc.tuple(
      fc.constantFrom("put", "get", "invalidate", "list", "vanish", "goodbye", "tick"),
      fc.nat(1),
      fc.array(id, { minLength: 1, maxLength: 6 }),
      fc.nat(200),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 4, max: 30 }),
        (steps, capacityFrames) => {
          const core = newCore({
            capacityFrames,
            reapFramesPerTick: 1000,
            clientGraceMs: 1e9,
            storeChunkBytes: 4096 * 3,
          });
          const clients = [0, 1].map((i) => new TestClient(core, { identity: i + 1 }).enter());
          const models = [new Map<number, number>(), new Map<number, number>()];
          const total = (): number => models[0]!.size + models[1]!.size;
          steps.forEach(([what, who, some, version], now) => {
            const client = clients[who]!;
            const model = models[who]!;
            if (what === "put") {
              const { accepted, status } = client.put(some, version).ask().acks[0]!;
              let expected = 0;
              while (expected < some.length && (model.has(some[expected]!) || total() < capacityFrames)) {
                model.set(some[expected]!, version);
                expected += 1;
              }
              expect([accepted, status]).toEqual([expected, expected < some.length ? 1 : 0]);
            } else if (what === "get") {
              const answer = client.get(some).ask();
              some.forEach((wanted, i) => {
                const held = model.get(wanted);
                expect(answer.metas[i]!.status).toBe(held === undefined ? 1 : 0);
                if (held !== undefined) expect(answer.metas[i]!.checksum).toBe(wanted + held);
              });
            } else if (what === "invalidate") {
              client.invalidate(some).send();
              for (const gone of some) model.delete(gone);
            } else if (what === "list") {
              const listed = client
                .list(0)
                .ask()
                .metas.map((meta) => meta.id);
              expect(listed.sort((a, b) => a - b)).toEqual([...model.keys()].sort((a, b) => a - b));
            } else if (what === "tick") core.tick(now);
            else {
              if (what === "goodbye") {
                client.bare(FrameType.GOODBYE).send();
                core.tick(now);
                model.clear();
              } else client.connection.disconnected();
              clients[who] = new TestClient(core, { identity: who + 1 }).enter();
            }
            core.check();
            expect(core.capacity.used).toBe(total());
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});
