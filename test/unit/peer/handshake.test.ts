import { createHmac, timingSafeEqual } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeHello,
  encodeHello,
  type FrameHandler,
  FrameReader,
  FrameType,
  Handshake,
  type Hello,
  PeerError,
  type Prover,
  putBare,
  putCapacityFrame,
  putError,
  Role,
  WireError,
} from "../../../proto/peer/index.ts";
import type { OutQueue } from "../../../src/base/out-queue.ts";
import { newSink, takeAll } from "./sink.ts";
import { proofVectors } from "./vectors.ts";

/** The proof of peer.md, "Authentication". */
class Key implements Prover {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array | string) {
    this.#key = Buffer.from(key as string);
  }

  proof(label: string, ...parts: Uint8Array[]): Uint8Array {
    const mac = createHmac("sha256", this.#key);
    for (const part of [Buffer.from(label), ...parts]) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      mac.update(length).update(part);
    }
    return new Uint8Array(mac.digest());
  }

  verify(proof: Uint8Array, label: string, ...parts: Uint8Array[]): boolean {
    return timingSafeEqual(proof, this.proof(label, ...parts));
  }
}

const hello = (role: Role, change: Partial<Hello> = {}): Hello => ({
  role,
  keyed: false,
  identity: new Uint8Array(16).fill(role),
  nonce: new Uint8Array(32).fill(0x10 + role),
  epoch: 3,
  pagesPerFrame: 64,
  name: role === Role.CLIENT ? "client-1" : "server-1",
  ...change,
});

/** One end of a connection, as its owner drives it. */
class End implements FrameHandler {
  readonly out: OutQueue = newSink();
  readonly handshake: Handshake;
  readonly reader = new FrameReader(this);
  readonly #side: "connector" | "acceptor";
  error: PeerError | undefined;

  constructor(side: "connector" | "acceptor", key?: Prover, own?: Partial<Hello>) {
    this.#side = side;
    const role = side === "connector" ? Role.CLIENT : Role.SERVER;
    this.handshake = new Handshake(side, hello(role, own), this.out, key);
    this.handshake.start();
  }

  header(reader: FrameReader): boolean {
    this.handshake.expect(reader);
    return true;
  }
  body(): void {}
  page(): void {
    throw new Error("a page in a handshake");
  }
  end(reader: FrameReader): void {
    this.handshake.take(reader);
    if (this.#side === "acceptor" && this.handshake.complete) {
      putCapacityFrame(this.out, FrameType.WELCOME, { free: 1, limit: 1, used: 0 });
    }
  }

  /** Takes bytes in pieces of `step`; on an error says so to the other end, as an owner does. */
  receive(bytes: Uint8Array, step = bytes.length): void {
    try {
      for (let at = 0; at < bytes.length && this.error === undefined; at += step) {
        this.reader.receive(bytes, at, Math.min(at + step, bytes.length));
      }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.error = error;
      if (!error.remote) putError(this.out, error.wireCode, error.message);
    }
  }
}

/** Carries bytes both ways until nothing moves; returns what went each way. */
function run(connector: End, acceptor: End, step?: number): { toAcceptor: Buffer; toConnector: Buffer } {
  const went = { toAcceptor: Buffer.alloc(0), toConnector: Buffer.alloc(0) };
  for (;;) {
    const there = takeAll(connector.out);
    went.toAcceptor = Buffer.concat([went.toAcceptor, there]);
    acceptor.receive(there, step);
    const back = takeAll(acceptor.out);
    went.toConnector = Buffer.concat([went.toConnector, back]);
    connector.receive(back, step);
    if (there.length + back.length === 0) return went;
  }
}

/** A frame by hand. */
function frame(type: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(type, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}

const KEY = new Key("a key of the cluster");
const PROOF_AT = 16 + 152;

describe("both ends", () => {
  it.each([
    ["without a key", undefined],
    ["with the same key", KEY],
  ])("%s come to trust each other, whatever the pieces", (_, key) => {
    for (const step of [1, 7, 16, 1000]) {
      const connector = new End("connector", key);
      const acceptor = new End("acceptor", key);
      run(connector, acceptor, step);
      expect([connector.error, acceptor.error]).toEqual([undefined, undefined]);
      expect([connector.handshake.complete, acceptor.handshake.complete]).toEqual([true, true]);
      const keyed = key !== undefined;
      expect(connector.handshake.peer).toEqual({ ...hello(Role.SERVER), keyed });
      expect(acceptor.handshake.peer).toEqual({ ...hello(Role.CLIENT), keyed });
    }
  });

  it.each([
    ["different keys", KEY, new Key("another key"), WireError.KEY_WRONG, WireError.KEY_WRONG],
    ["a key at the acceptor alone", undefined, KEY, WireError.KEY_NOT_EXPECTED, WireError.KEY_REQUIRED],
    ["a key at the connector alone", KEY, undefined, WireError.KEY_REQUIRED, WireError.KEY_NOT_EXPECTED],
  ])("with %s both learn why not", (_, connectorKey, acceptorKey, connectorCode, acceptorCode) => {
    const connector = new End("connector", connectorKey);
    const acceptor = new End("acceptor", acceptorKey);
    run(connector, acceptor);
    expect(connector.error?.wireCode).toBe(connectorCode);
    expect(acceptor.error?.wireCode).toBe(acceptorCode);
    expect([connector.handshake.complete, acceptor.handshake.complete]).toEqual([false, false]);
    expect([connector.error?.remote, acceptor.error?.remote]).toContain(false);
  });

  it("the connector proves nothing to an acceptor that has not convinced it", () => {
    const connector = new End("connector", KEY);
    const { toAcceptor } = run(connector, new End("acceptor", new Key("another key")));
    const sent: number[] = [];
    for (let at = 0; at < toAcceptor.length; at += 16 + toAcceptor.readUInt32LE(at + 4)) {
      sent.push(toAcceptor[at]!);
    }
    expect(sent).toEqual([FrameType.HELLO, FrameType.ERROR]);
  });

  it.each(proofVectors)("make the golden $name", (vector) => {
    const key = new Key(Buffer.from(vector.key, "hex"));
    const bytes = (hex: string) => Buffer.from(hex, "hex");
    const connector = new End("connector", key, decodeHello(bytes(vector.connectorHello)));
    const acceptor = new End("acceptor", key, decodeHello(bytes(vector.acceptorHello)));
    const { toAcceptor, toConnector } = run(connector, acceptor);
    const both = (theirs: Buffer) => [
      theirs.subarray(16, PROOF_AT).toString("hex"),
      theirs.subarray(PROOF_AT + 16, PROOF_AT + 48).toString("hex"),
    ];
    expect(both(toAcceptor)).toEqual([vector.connectorHello, vector.connectorProof]);
    expect(both(toConnector)).toEqual([vector.acceptorHello, vector.acceptorProof]);
    expect(acceptor.handshake.complete).toBe(true);
  });
});

describe("who has no key", () => {
  it("gets nowhere by sending the connector's own words back", () => {
    const connector = new End("connector", KEY);
    const own = takeAll(connector.out);
    connector.receive(own);
    expect(connector.error).toBeUndefined();
    expect(takeAll(connector.out).length).toBe(0);
    connector.receive(frame(FrameType.PROOF, new Uint8Array(32)));
    expect(connector.error?.wireCode).toBe(WireError.KEY_WRONG);
  });

  it("gets nowhere by sending the acceptor's proof back to it", () => {
    const acceptor = new End("acceptor", KEY);
    acceptor.receive(frame(FrameType.HELLO, encodeHello(hello(Role.CLIENT, { keyed: true }))));
    const proof = takeAll(acceptor.out).subarray(PROOF_AT);
    expect(proof[0]).toBe(FrameType.PROOF);
    acceptor.receive(proof);
    expect(acceptor.error?.wireCode).toBe(WireError.KEY_WRONG);
    expect(acceptor.handshake.complete).toBe(false);
  });

  it("gets nowhere with words recorded from another connection", () => {
    const recorded = run(new End("connector", KEY), new End("acceptor", KEY));
    const nonce = new Uint8Array(32).fill(0x77);
    const acceptor = new End("acceptor", KEY, { nonce });
    acceptor.receive(recorded.toAcceptor);
    expect(acceptor.error?.wireCode).toBe(WireError.KEY_WRONG);
    const connector = new End("connector", KEY, { nonce });
    connector.receive(recorded.toConnector);
    expect(connector.error?.wireCode).toBe(WireError.KEY_WRONG);
  });

  it("cannot change a byte of either HELLO, reserved ones and padding included", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.nat(151), fc.integer({ min: 1, max: 255 }), (first, at, bits) => {
        const connector = new End("connector", KEY);
        const acceptor = new End("acceptor", KEY);
        const there = takeAll(connector.out);
        if (first) there[16 + at]! ^= bits;
        acceptor.receive(there);
        const back = takeAll(acceptor.out);
        if (!first) back[16 + at]! ^= bits;
        connector.receive(back);
        run(connector, acceptor);
        expect([connector.handshake.complete, acceptor.handshake.complete]).toEqual([false, false]);
      }),
      { numRuns: 400 },
    );
  });

  it("cannot talk a keyed end into doing without", () => {
    const acceptor = new End("acceptor", KEY);
    acceptor.receive(frame(FrameType.HELLO, encodeHello(hello(Role.CLIENT))));
    expect(acceptor.error?.wireCode).toBe(WireError.KEY_REQUIRED);
    const connector = new End("connector", KEY);
    connector.receive(frame(FrameType.HELLO, encodeHello(hello(Role.SERVER, { keyed: true }))));
    connector.receive(frame(FrameType.WELCOME, new Uint8Array(16)));
    expect(connector.error?.wireCode).toBe(WireError.PROTOCOL);
    expect(connector.handshake.complete).toBe(false);
  });
});

describe("order", () => {
  const bodies = new Map<number, Uint8Array>([
    [FrameType.HELLO, encodeHello(hello(Role.SERVER))],
    [FrameType.PROOF, new Uint8Array(32)],
    [FrameType.WELCOME, new Uint8Array(16)],
    [FrameType.PONG, new Uint8Array(16)],
  ]);
  const headers = Object.values(FrameType).map((type) => {
    const counted: number[] = [FrameType.PUTPAGE, FrameType.ACK, FrameType.GETPAGE, FrameType.PAGES];
    counted.push(FrameType.INVALIDATE);
    const lengths = new Map<number, number>([
      [FrameType.PUTPAGE, 4120],
      [FrameType.ACK, 24],
      [FrameType.GETPAGE, 8],
      [FrameType.PAGES, 24],
      [FrameType.INVALIDATE, 8],
    ]);
    const bytes = frame(type, bodies.get(type));
    if (counted.includes(type)) {
      bytes.writeUInt16LE(1, 2);
      bytes.writeUInt32LE(lengths.get(type)!, 4);
    }
    return { type, bytes };
  });

  const clientHello = (keyed: boolean) => frame(FrameType.HELLO, encodeHello(hello(Role.CLIENT, { keyed })));
  const serverHello = (keyed: boolean) => frame(FrameType.HELLO, encodeHello(hello(Role.SERVER, { keyed })));
  const states: [string, () => End, number[]][] = [
    ["acceptor at first", () => new End("acceptor"), [FrameType.HELLO]],
    ["connector at first", () => new End("connector"), [FrameType.HELLO]],
    [
      "keyed acceptor after HELLO",
      () => {
        const end = new End("acceptor", KEY);
        end.receive(clientHello(true));
        return end;
      },
      [FrameType.PROOF],
    ],
    [
      "keyed connector after HELLO",
      () => {
        const end = new End("connector", KEY);
        end.receive(serverHello(true));
        return end;
      },
      [FrameType.PROOF],
    ],
    [
      "connector after HELLO",
      () => {
        const end = new End("connector");
        end.receive(serverHello(false));
        return end;
      },
      [FrameType.WELCOME],
    ],
    [
      "acceptor when complete",
      () => {
        const end = new End("acceptor");
        end.receive(clientHello(false));
        return end;
      },
      [],
    ],
    [
      "connector when complete",
      () => {
        const end = new End("connector");
        run(end, new End("acceptor"));
        return end;
      },
      [],
    ],
  ];

  it.each(states)("%s takes nothing but what comes next, from the header on", (_, make, allowed) => {
    for (const { type, bytes } of headers) {
      if (type === FrameType.ERROR) continue;
      const end = make();
      expect(end.error).toBeUndefined();
      const before = end.handshake.complete;
      end.receive(bytes.subarray(0, 16));
      const refused = end.error !== undefined;
      expect(refused, `frame type ${type}`).toBe(!allowed.includes(type));
      if (refused) expect(end.error?.wireCode).toBe(WireError.PROTOCOL);
      expect(end.handshake.complete).toBe(before);
    }
  });

  it.each(states)("%s understands an ERROR", (_, make) => {
    const sink = newSink();
    putError(sink, WireError.TOO_MANY_CONNECTIONS, "full up");
    const end = make();
    end.receive(takeAll(sink));
    expect(end.error).toMatchObject({
      wireCode: WireError.TOO_MANY_CONNECTIONS,
      remote: true,
      message: "full up",
    });
  });

  it("a PING on the heels of HELLO is too early for a keyed acceptor", () => {
    const acceptor = new End("acceptor", KEY);
    const sink = newSink();
    putBare(sink, FrameType.PING, 1);
    acceptor.receive(Buffer.concat([clientHello(true), takeAll(sink)]));
    expect(acceptor.error?.message).toContain("PING before the handshake is complete");
  });
});

describe("encodeHello", () => {
  it("gives back what went in", () => {
    for (const name of ["x", "n".repeat(63), "ä".repeat(31), "🐏".repeat(15), "\ufeffmark"]) {
      const own = hello(Role.PARITY, { name, keyed: true, epoch: 2 ** 32 - 1, pagesPerFrame: 1 });
      expect(decodeHello(encodeHello(own))).toEqual(own);
    }
  });

  it.each([
    ["no name", { name: "" }, "1 to 63 bytes"],
    ["a name of 64 bytes", { name: "ä".repeat(32) }, "1 to 63 bytes"],
    ["a name with control characters", { name: "a\u0007" }, "control characters"],
    ["a nonce cut short, which would go out padded with zeros", { nonce: new Uint8Array(31) }, "a nonce 32"],
    ["a nonce too long", { nonce: new Uint8Array(33) }, "a nonce 32"],
    ["an identity cut short", { identity: new Uint8Array(15) }, "an identity takes 16"],
  ])("refuses %s", (_, change, message) => {
    expect(() => encodeHello(hello(Role.CLIENT, change))).toThrow(RangeError);
    expect(() => encodeHello(hello(Role.CLIENT, change))).toThrow(message);
  });

  it("keeps no hold on the bytes it was decoded from", () => {
    const bytes = Buffer.from(encodeHello(hello(Role.CLIENT)));
    const decodedHello = decodeHello(bytes);
    bytes.fill(0);
    expect(decodedHello).toEqual(hello(Role.CLIENT));
  });
});
