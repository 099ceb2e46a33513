import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  COMPOSE_SOURCES_MAX,
  ERROR_TEXT_BYTES_MAX,
  FIXED_BODY_BYTES_MAX,
  type FrameHandler,
  FrameReader,
  FrameType,
  GROUP_MEMBERS_MAX,
  META_BYTES,
  OWN_STORE,
  PAGE_BYTES,
  PAGES_PER_FRAME_MAX,
  PeerError,
  putError,
  RECOVER_SOURCES_MAX,
  remoteError,
  SERVER_INDEX_MAX,
  WireError,
} from "../../../proto/peer/index.ts";
import { decoded, indicesWithPage, Recorder, readPieces } from "./recorder.ts";
import { newSink, takeAll } from "./sink.ts";
import { type FrameFields, unpack } from "./vectors.ts";
import { writeFrame } from "./write-frame.ts";

const u32 = fc.nat(2 ** 32 - 1);
const wide = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));
const capacity = fc.record({ free: u32, limit: u32, used: u32 });
const meta = fc.record({ pageId: wide, slot: wide, checksum: u32, status: fc.nat(1) });
const metas = fc.array(meta, { minLength: 1, maxLength: 6 });
const hex = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value: Uint8Array) => Buffer.from(value).toString("hex"));
const pages = (count: number) =>
  fc.array(
    hex(16).map((unit) => `${unit}*256`),
    { minLength: count, maxLength: count },
  );
const name = fc
  .stringMatching(/^[a-zäß🐏-]{1,12}$/u)
  .filter((text) => new TextEncoder().encode(text).length <= 63);
const hello = fc.record({
  role: fc.constantFrom(1 as const, 2 as const, 3 as const),
  keyed: fc.boolean(),
  pagesPerFrame: fc.integer({ min: 1, max: 64 }),
  epoch: u32,
  name,
  identity: hex(16),
  nonce: hex(32),
});

type Fields = Omit<FrameFields, "bodyBytes">;
const base = { count: 0, seq: 0, aux: 0 };
const ids = fc.array(wide, { minLength: 1, maxLength: 64 });
const entries = fc.array(fc.record({ seq: u32, accepted: fc.nat(64), status: fc.nat(1) }), {
  minLength: 1,
  maxLength: 128,
});

const server = fc.nat(SERVER_INDEX_MAX);
const source = fc.record({ pageId: wide, server: fc.oneof(server, fc.constant(OWN_STORE)) });
const sources = (most: number) => fc.array(source, { minLength: 1, maxLength: most });
const group = fc
  .record({
    groupId: wide,
    handle: u32,
    members: fc.uniqueArray(fc.record({ pageId: wide, checksum: u32, server }), {
      minLength: 1,
      maxLength: GROUP_MEMBERS_MAX,
      comparator: (a, b) => a.pageId === b.pageId || a.server === b.server,
    }),
  })
  .filter(({ groupId, members }) => members.every((member) => member.pageId !== groupId));
const compose = fc
  .tuple(group, sources(COMPOSE_SOURCES_MAX))
  .map(([fields, list]) => ({ ...fields, sources: list }));
const lost = fc.record({
  pageId: wide,
  slot: wide,
  checksum: u32,
  newPageId: wide,
  target: server,
  sources: sources(RECOVER_SOURCES_MAX),
});
const result = fc.record({ seq: u32, index: fc.nat(15), status: fc.nat(4), checksum: u32 });
const mismatch = fc.record({ groupId: wide, pageId: wide, handle: u32 });
const upTo = <T>(one: fc.Arbitrary<T>, most: number) => fc.array(one, { minLength: 1, maxLength: most });

/** Any frame of parity groups that the protocol allows. */
const groupFrame: fc.Arbitrary<Fields> = fc.oneof(
  upTo(group, 16).map((groups) => ({ ...base, type: "GROUPS", count: groups.length, groups })),
  upTo(fc.record({ index: server, identity: hex(16) }), 64).map((servers) => ({
    ...base,
    type: "SERVERS",
    count: servers.length,
    servers,
  })),
  fc
    .tuple(upTo(compose, 8), u32)
    .map(([composes, seq]) => ({ ...base, type: "COMPOSE", count: composes.length, seq, composes })),
  ...["REBUILD", "RECOVER"].map((type) =>
    fc.tuple(upTo(lost, 16), u32).map(([list, seq]) => {
      const pages = type === "REBUILD" ? list : list.map((page) => ({ ...page, newPageId: 0, target: 0 }));
      return { ...base, type, count: pages.length, seq, lost: pages };
    }),
  ),
  fc.tuple(capacity, upTo(result, 64)).map(([value, results]) => ({
    ...base,
    type: "RESULT",
    count: results.length,
    capacity: value,
    results,
  })),
  upTo(mismatch, 64).map((mismatches) => ({
    ...base,
    type: "MISMATCH",
    count: mismatches.length,
    mismatches,
  })),
);

/** Any frame that the protocol allows. */
const frame: fc.Arbitrary<Fields> = fc.oneof(
  { weight: 6, arbitrary: groupFrame },
  hello.map((value) => ({ ...base, type: "HELLO", hello: value })),
  hex(32).map((proof) => ({ ...base, type: "PROOF", proof })),
  capacity.map((value) => ({ ...base, type: "WELCOME", capacity: value })),
  fc.tuple(capacity, u32).map(([value, seq]) => ({ ...base, type: "PONG", seq, capacity: value })),
  fc
    .tuple(name, fc.integer({ min: 1, max: 10 }))
    .map(([text, aux]) => ({ ...base, type: "ERROR", aux, text })),
  u32.map((seq) => ({ ...base, type: "PING", seq })),
  fc.constant({ ...base, type: "GOODBYE" }),
  u32.map((aux) => ({ ...base, type: "LIST", aux })),
  fc
    .tuple(ids, u32)
    .map(([value, seq]) => ({ ...base, type: "GETPAGE", count: value.length, seq, pageIds: value })),
  ids.map((value) => ({ ...base, type: "INVALIDATE", count: value.length, pageIds: value })),
  fc
    .tuple(fc.array(meta, { maxLength: 64 }), u32)
    .map(([value, aux]) => ({ ...base, type: "LISTING", count: value.length, aux, metas: value })),
  fc
    .tuple(capacity, entries)
    .map(([value, list]) => ({ ...base, type: "ACK", count: list.length, capacity: value, entries: list })),
  ...["PUTPAGE", "PAGES"].map((type) =>
    fc.tuple(metas, u32).chain(([value, seq]) => {
      const fields: Fields = { ...base, type, count: value.length, seq, metas: value };
      const found = indicesWithPage(fields as FrameFields).length;
      return pages(found).map((list) => ({ ...fields, pages: list }));
    }),
  ),
);

function written(frames: Fields[]): Buffer {
  const sink = newSink();
  for (const fields of frames) writeFrame(sink, fields as FrameFields);
  return takeAll(sink);
}

/** Refuses a header as often as its script says. */
class Hesitant extends Recorder {
  readonly #script: number[];
  #at = 0;
  #left = -1;

  constructor(script: number[]) {
    super();
    this.#script = script;
  }

  override header(reader: FrameReader): boolean {
    if (this.#left < 0) this.#left = this.#script[this.#at++ % this.#script.length] ?? 0;
    if (this.#left-- > 0) return false;
    return super.header(reader);
  }
}

describe("a stream of valid frames", () => {
  it("is read as it was written, wherever it is cut and however often the handler hesitates", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 }),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }),
        (frames, shares, hesitation) => {
          const stream = written(frames);
          const cuts = shares.map((share) => Math.floor(share * stream.length)).sort((a, b) => a - b);
          const recorder = new Hesitant(hesitation);
          readPieces(stream, cuts, recorder);
          expect(recorder.frames.length).toBe(frames.length);
          for (const [i, got] of recorder.frames.entries()) {
            const { pages: wanted, ...fields } = frames[i]!;
            expect(got.ended).toBe(true);
            expect(decoded(got)).toEqual({ ...fields, bodyBytes: got.bodyBytes });
            const indices = wanted === undefined ? [] : indicesWithPage(frames[i] as FrameFields);
            expect(got.pages.map((page) => page.index)).toEqual(indices);
            expect(Buffer.concat(got.pages.map((page) => page.bytes)).equals(unpack(wanted ?? []))).toBe(
              true,
            );
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Takes everything, and checks what a handler may rely on. */
class Bounds implements FrameHandler {
  header(reader: FrameReader): boolean {
    expect(reader.fixedBytes).toBeLessThanOrEqual(FIXED_BODY_BYTES_MAX);
    expect(reader.bodyBytes).toBeLessThanOrEqual(PAGES_PER_FRAME_MAX * (META_BYTES + PAGE_BYTES));
    return true;
  }
  body(reader: FrameReader): void {
    if (reader.type === FrameType.ERROR) expect(remoteError(reader)).toBeInstanceOf(PeerError);
  }
  page(reader: FrameReader, index: number, bytes: Uint8Array, start: number, end: number, at: number): void {
    expect(index).toBeLessThan(reader.count);
    expect(start).toBeLessThan(end);
    expect(end).toBeLessThanOrEqual(bytes.length);
    expect(at + end - start).toBeLessThanOrEqual(PAGE_BYTES);
  }
  end(): void {}
}

/** Gives the stream in two pieces; whatever is thrown must be a PeerError of ours. */
function survives(stream: Uint8Array, share: number): void {
  const reader = new FrameReader(new Bounds());
  const buffers = [reader.bodyRaw.buffer.byteLength, reader.body.byteLength];
  const cut = Math.floor(share * stream.length);
  try {
    expect(reader.receive(stream, 0, cut)).toBe(cut);
    expect(reader.receive(stream, cut, stream.length)).toBe(stream.length - cut);
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    expect(error.wireCode).toBe(WireError.PROTOCOL);
  }
  expect([reader.bodyRaw.buffer.byteLength, reader.body.byteLength]).toEqual(buffers);
  expect(buffers).toEqual([FIXED_BODY_BYTES_MAX, FIXED_BODY_BYTES_MAX]);
}

describe("a stream of a stranger", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });

  it("of random bytes throws PeerError or nothing", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), share, survives), { numRuns: 2000 });
  });

  it("that begins like a frame throws PeerError or nothing", () => {
    const plausible = fc
      .tuple(
        fc.constantFrom(...Object.values(FrameType)),
        fc.oneof(fc.constant(0), fc.nat(255)),
        fc.oneof(fc.nat(3), fc.nat(65_535)),
        fc.oneof(fc.nat(200), fc.constantFrom(24, 32, 144, 168, 400, 4120, 8240, 263_680), u32),
        fc.uint8Array({ maxLength: 9000 }),
      )
      .map(([type, flags, count, bodyBytes, rest]) => {
        const bytes = Buffer.alloc(16 + rest.length);
        bytes.writeUInt8(type, 0);
        bytes.writeUInt8(flags, 1);
        bytes.writeUInt16LE(count, 2);
        bytes.writeUInt32LE(bodyBytes, 4);
        bytes.set(rest, 16);
        return bytes;
      });
    fc.assert(fc.property(plausible, share, survives), { numRuns: 1000 });
  });

  it("that is a good one with a few bytes changed throws PeerError or nothing", () => {
    const damage = fc.array(fc.tuple(share, fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 4 }), damage, share, (frames, changes, cut) => {
        const stream = written(frames);
        for (const [where, value] of changes) stream[Math.floor(where * (stream.length - 1))] = value;
        survives(stream, cut);
      }),
      { numRuns: 500 },
    );
  });
});

describe("ERROR", () => {
  const told = (bytes: Uint8Array): PeerError => {
    let error: PeerError | undefined;
    const handler = new Bounds();
    handler.body = (reader) => {
      error = remoteError(reader);
    };
    new FrameReader(handler).receive(bytes, 0, bytes.length);
    return error!;
  };

  const sent = (text: string): Buffer => {
    const sink = newSink();
    putError(sink, WireError.TIMEOUT, text);
    return takeAll(sink);
  };

  it("a text that is too long was cut inside a character", () => {
    for (const pad of [0, 1, 2, 3]) {
      const text = "x".repeat(pad) + "🐏".repeat(200);
      const bytes = sent(text);
      expect(bytes.length - 16).toBeLessThanOrEqual(ERROR_TEXT_BYTES_MAX);
      expect(bytes.length - 16).toBeGreaterThan(ERROR_TEXT_BYTES_MAX - 4);
      expect(text.startsWith(told(bytes).message)).toBe(true);
    }
  });

  it("a stranger's text could steer the terminal that shows it", () => {
    expect(told(sent("\u001b[2Jbad\r\nfaked line\u009b1m")).message).toBe(" [2Jbad  faked line 1m");
  });

  it("keeps its code; an unknown one counts as PROTOCOL", () => {
    const bytes = sent("x");
    expect(told(bytes)).toMatchObject({ wireCode: WireError.TIMEOUT, remote: true, message: "x" });
    for (const code of [0, 11, 2 ** 32 - 1]) {
      bytes.writeUInt32LE(code, 12);
      expect(told(bytes)).toMatchObject({ wireCode: WireError.PROTOCOL, remote: true });
    }
  });
});
