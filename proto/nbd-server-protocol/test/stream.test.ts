import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anExport, inTransmission, Rig, type RigOptions, SIZE } from "./rig.ts";
import { clientFlags, go, header, join, option, setMeta, structured } from "./wire.ts";

/** A whole session: every kind of option and of request. */
const CONVERSATION = join(
  clientFlags(),
  option(3),
  option(99, "'unknown"),
  structured(),
  setMeta("swap", "base:allocation", "x-a:b"),
  option(6, [0, 0, 0, 4], "'swap", [0, 1, 0, 3]),
  go("swap", 1, 2, 3),
  header({ command: 1, cookie: 1, offset: 100, length: 9 }),
  "'123456789",
  header({ command: 0, cookie: 2, offset: 99, length: 11 }),
  header({ command: 1, cookie: 3, offset: SIZE, length: 4 }),
  "'drop",
  header({ command: 7, cookie: 4, length: 8192 }),
  header({ command: 6, cookie: 5, offset: 100, length: 3 }),
  header({ command: 0, cookie: 6, offset: 100, length: 4 }),
  header({ command: 3, cookie: 7 }),
  header({ command: 77, cookie: 8 }),
  header({ command: 2 }),
);

/** Everything a session says to `bytes`, given in pieces that end at `cuts`. */
function converse(bytes: Uint8Array, cuts: readonly number[], options: RigOptions = {}): Rig {
  const rig = new Rig(options);
  rig.session.start();
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    // The same bytes at another place, so that nothing depends on where a chunk starts.
    const moved = new Uint8Array(to + 7);
    moved.set(bytes.subarray(from, to), 7);
    const count = rig.session.receive(moved, 7, 7 + to - from);
    if (count < to - from) break;
    from = to;
  }
  return rig;
}

const everySplit = Array.from({ length: CONVERSATION.length + 1 }, (_, index) => index);

describe("a conversation cut anywhere says the same", () => {
  const whole = converse(CONVERSATION, []);
  const said = whole.sent();

  test("it is a long one", () => {
    expect(whole.session.state).toBe("closed");
    expect(whole.session.closeReason).toBeUndefined();
    expect(said.length).toBeGreaterThan(500);
    expect(whole.seen.map((seen) => seen.command)).toEqual([1, 0, 7, 6, 0, 3]);
    expect(new TextDecoder().decode(whole.memory.subarray(100, 109))).toBe("\0\0\x00456789");
  });

  test("at every single point", () => {
    for (const cut of everySplit) {
      expect(Buffer.compare(converse(CONVERSATION, [cut]).sent(), said), `cut at ${cut}`).toBe(0);
    }
  });

  test("byte by byte", () => {
    const rig = converse(CONVERSATION, everySplit);
    expect(rig.sent()).toEqual(said);
    expect(rig.seen).toEqual(whole.seen);
  });

  test("a connection lost at every single point is a named end, once", () => {
    for (const cut of everySplit.slice(0, -1)) {
      const rig = converse(CONVERSATION.subarray(0, cut), []);
      rig.session.disconnected();
      expect(rig.session.closeReason?.code, `lost at ${cut}`).toBe("connection-lost");
      expect(rig.closedCount).toBe(1);
    }
  });
});

describe("stalling", () => {
  const requests = join(
    header({ command: 4, cookie: 1, length: 4 }),
    header({ command: 1, cookie: 2, offset: 10, length: 5 }),
    "'hello",
    header({ command: 0, cookie: 3, offset: 9, length: 7 }),
  );
  const expected = (() => {
    const rig = inTransmission();
    rig.send(requests);
    return rig.sent();
  })();

  test("not now: the header is kept, its payload and all after it are left", () => {
    const rig = inTransmission();
    rig.onRequest = (request) => {
      if (request.command === 1 && rig.seen.length === 1) rig.refusals = 1;
      rig.onRequest = request.command === 1 ? undefined : rig.onRequest;
    };
    expect(rig.session.receive(requests, 0, requests.length)).toBe(56);
    expect(rig.session.stalled).toBe(true);
    expect(rig.session.receive(requests, 56, requests.length)).toBe(0);
    expect(rig.session.inFlight).toBe(0);
    rig.session.resume();
    expect(rig.session.stalled).toBe(false);
    expect(rig.session.receive(requests, 56, requests.length)).toBe(requests.length - 56);
    expect(rig.sent()).toEqual(expected);
  });

  test("not now, again and again, then yes", () => {
    const rig = inTransmission();
    rig.refusals = 3;
    expect(rig.send(header({ command: 3, cookie: 1 }))).toBe(28);
    for (let left = 2; left >= 0; left--) {
      rig.session.resume();
      expect(rig.session.stalled).toBe(left > 0 || rig.seen.length === 0);
    }
    rig.session.resume();
    expect(rig.seen.length).toBe(1);
    rig.session.resume();
    expect(rig.seen.length).toBe(1);
  });

  test("resume() from inside the offer is not lost", () => {
    const rig = inTransmission();
    rig.refusals = 1;
    rig.onRequest = () => rig.session.resume();
    rig.send(header({ command: 3 }));
    expect(rig.seen.length).toBe(1);
    expect(rig.session.stalled).toBe(false);
  });

  test("requests in flight are bounded: the session stalls, and goes on when one is answered", () => {
    const rig = inTransmission({ limits: { requestsInFlightMax: 2 } });
    rig.hold = true;
    const bytes = join(...[1, 2, 3].map((cookie) => header({ command: 3, cookie })));
    expect(rig.session.receive(bytes, 0, bytes.length)).toBe(56);
    expect(rig.session.stalled).toBe(true);
    rig.answer(rig.waiting[0]);
    expect(rig.session.stalled).toBe(false);
    expect(rig.session.receive(bytes, 56, bytes.length)).toBe(28);
    expect(rig.session.inFlight).toBe(2);
  });

  test("the payload of the last WRITE in flight is still read", () => {
    const rig = inTransmission({ limits: { requestsInFlightMax: 1 } });
    const bytes = join(header({ command: 1, length: 3 }), "'abc", header({ command: 3 }));
    expect(rig.session.receive(bytes, 0, 29)).toBe(29);
    expect(rig.session.stalled).toBe(true);
    expect(rig.session.receive(bytes, 29, bytes.length)).toBe(30);
    expect(rig.seen.length).toBe(2);
  });

  test("shutting down while stalled: the request that waits is refused, its payload dropped", () => {
    const rig = inTransmission();
    rig.refusals = 1;
    const bytes = join(header({ command: 1, length: 3 }), "'abc", header({ command: 2 }));
    expect(rig.session.receive(bytes, 0, bytes.length)).toBe(28);
    rig.session.shutDown();
    rig.session.resume();
    expect(rig.session.receive(bytes, 28, bytes.length)).toBe(31);
    expect(rig.sent()[7]).toBe(108);
    expect(rig.session.state).toBe("closed");
  });

  test("a connection lost while stalled: the request was never taken, and is not handed over", () => {
    const rig = inTransmission();
    rig.refusals = 1;
    rig.send(header({ command: 3 }));
    rig.session.disconnected();
    rig.session.resume();
    expect(rig.closedWith?.pending).toEqual([]);
    expect(rig.seen).toEqual([]);
  });
});

/** A request of any kind, valid or not, with its payload. */
const anyRequest = fc
  .record({
    command: fc.constantFrom(0, 0, 1, 1, 3, 4, 5, 6, 7, 9),
    flags: fc.constantFrom(0, 0, 0, 1, 2, 4, 8, 16, 0x100),
    cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    offset: fc.oneof(fc.nat(SIZE), fc.nat(SIZE), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    length: fc.nat(300),
  })
  .map((fields) =>
    join(header(fields), fields.command === 1 ? new Uint8Array(fields.length).fill(fields.length % 256) : []),
  );

const negotiations = fc.constantFrom(
  join(clientFlags(), go("swap")),
  join(clientFlags(), structured(), go("swap")),
  join(clientFlags(), structured(), setMeta("swap", "base:allocation"), go("swap")),
  join(clientFlags(0), option(1, "'swap")),
);

test("any stream of requests, cut and stalled anywhere, gives the same bytes and the same memory", () => {
  const property = fc.property(
    negotiations,
    fc.array(anyRequest, { maxLength: 30 }),
    fc.array(fc.nat(400), { maxLength: 40 }),
    fc.array(fc.boolean(), { maxLength: 60 }),
    (negotiation, requests, steps, stalls) => {
      const bytes = join(negotiation, ...requests);
      const whole = converse(bytes, []);
      const rig = new Rig();
      rig.session.start();
      rig.onRequest = () => {
        if (stalls.pop()) rig.refusals = 1;
      };
      let at = 0;
      while (at < bytes.length) {
        const end = Math.min(bytes.length, at + (steps.pop() ?? 4096));
        at += rig.session.receive(bytes, at, end);
        rig.session.resume();
      }
      for (let more = 0; rig.session.stalled && more < 100; more++) rig.session.resume();
      expect(rig.seen).toEqual(whole.seen);
      expect(Buffer.compare(rig.memory, whole.memory)).toBe(0);
      expect(Buffer.compare(rig.sent(), whole.sent())).toBe(0);
    },
  );
  fc.assert(property, { numRuns: 150, seed: 1 });
});

test("requests answered in any order, at any time: each once, with its own cookie", () => {
  const property = fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 60 }), (order) => {
    const rig = inTransmission();
    rig.hold = true;
    let sent = 0;
    const answered: number[] = [];
    for (const pick of order) {
      rig.send(header({ command: 0, cookie: ++sent, offset: sent, length: 1 }));
      if (pick % 3 === 0) continue;
      const [request] = rig.waiting.splice(pick % rig.waiting.length, 1);
      answered.push(request.cookieLow);
      rig.answer(request);
    }
    for (const request of rig.waiting.splice(0)) {
      answered.push(request.cookieLow);
      rig.answer(request);
    }
    const bytes = rig.sent();
    const cookies = answered.map((_, index) => new DataView(bytes.buffer).getUint32(index * 17 + 12));
    expect(cookies).toEqual(answered);
    expect(new Set(answered).size).toBe(order.length);
    expect(bytes.length).toBe(17 * order.length);
    expect(rig.session.inFlight).toBe(0);
  });
  fc.assert(property, { numRuns: 100, seed: 2 });
});

/** Pieces that look right, mixed with ones that do not. */
const nearlyRight = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.constantFrom(clientFlags(), clientFlags(0)).map((flags) => join(flags)),
  fc.tuple(fc.nat(12), fc.uint8Array({ maxLength: 40 })).map(([number, data]) => option(number, data)),
  fc.constantFrom(
    structured(),
    go("swap"),
    go("", 1, 2, 3),
    setMeta("swap", "base:allocation"),
    option(9),
    option(5),
  ),
  anyRequest,
);

test("random bytes in every state: no throw, bounded output, a clear answer or a named end", () => {
  const starts = fc.constantFrom(
    join(),
    join(clientFlags()),
    join(clientFlags(), structured()),
    join(clientFlags(), go("swap")),
    join(clientFlags(), structured(), setMeta("swap", "base:allocation"), go("swap")),
  );
  const property = fc.property(
    starts,
    fc.array(nearlyRight, { maxLength: 20 }),
    fc.constantFrom("none" as const, "allowed" as const, "required" as const),
    (start, pieces, tls) => {
      const rig = new Rig({ tls, exports: [anExport({ description: "d" })] });
      rig.session.start();
      const bytes = join(start, ...pieces);
      const count = rig.session.receive(bytes, 0, bytes.length);
      const { state, closeReason } = rig.session;
      if (count < bytes.length) expect(["closed", "starttls"]).toContain(state);
      if (state === "closed") {
        expect(rig.closedCount).toBe(1);
        expect(rig.closedWith?.pending).toEqual([]);
        if (closeReason !== undefined) expect(closeReason.message.length).toBeGreaterThan(10);
      }
      // Every request and option has at least 16 bytes; a READ of this test gives at most 300 back.
      expect(rig.output.length).toBeLessThanOrEqual(18 + 134 + (bytes.length / 16) * 340);
    },
  );
  fc.assert(property, { numRuns: 1500, seed: 3 });
});
