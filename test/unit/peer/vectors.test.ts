import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  decodeHello,
  FIXED_BODY_BYTES_MAX,
  FrameReader,
  frameShapes,
  PeerError,
  WireError,
} from "../../../proto/peer/index.ts";
import { Arena } from "../../../src/base/arena.ts";
import { decoded, indicesWithPage, Recorder, readPieces } from "./recorder.ts";
import { newSink, takeAll } from "./sink.ts";
import { badFrames, badHellos, frameVectors, unpack, vectorsFolder } from "./vectors.ts";
import { writeFrame } from "./write-frame.ts";

const python = spawnSync("python3", ["--version"]).status === 0;

it.skipIf(!python)("the vectors are what make-vectors.py makes (needs python3)", () => {
  const made = spawnSync("python3", [fileURLToPath(new URL("make-vectors.py", vectorsFolder)), "--check"]);
  expect(made.stderr.toString()).toBe("");
  expect(made.status).toBe(0);
});

it("every frame type has a vector", () => {
  const names = new Set(frameVectors.map((v) => v.frame.type));
  expect([...frameShapes.values()].map((s) => s.name).filter((name) => !names.has(name))).toEqual([]);
});

/** Where to cut a stream: everywhere, but for the insides of pages. */
function splitPoints(length: number): number[] {
  const all = Array.from({ length: length + 1 }, (_, i) => i);
  if (length > 50_000) return all.filter((i) => i < 20 || (i > 1548 && i < 1556) || i % 16_384 === 16);
  if (length <= 900) return all;
  return all.filter((i) => i < 120 || i > length - 20 || i % 509 === 0 || (i - 16) % 4096 < 80);
}

describe.each(frameVectors)("$name", ({ bytes: pieces, frame, receivedOnly }) => {
  const bytes = unpack(pieces);

  const check = (recorder: Recorder, reader: FrameReader) => {
    expect(recorder.frames.length).toBe(1);
    expect(recorder.stage).toBe("between");
    expect(reader.stalled).toBe(false);
    const [got] = recorder.frames;
    const { pages: wanted = [], ...fields } = frame;
    expect(decoded(got!)).toEqual(fields);
    expect(got!.pages.map((p) => p.index)).toEqual(frame.pages ? indicesWithPage(frame) : []);
    expect(Buffer.concat(got!.pages.map((p) => p.bytes)).equals(unpack(wanted))).toBe(true);
  };

  it("is read", () => {
    const recorder = new Recorder();
    check(recorder, readPieces(bytes, [], recorder));
  });

  // What no writer of ours makes has nothing to be compared with.
  if (!receivedOnly) {
    it("is written", () => {
      const sink = newSink();
      writeFrame(sink, frame);
      expect(takeAll(sink).equals(bytes)).toBe(true);
    });
  }

  it("is read the same in two pieces, cut anywhere", () => {
    for (const cut of splitPoints(bytes.length)) {
      const recorder = new Recorder();
      check(recorder, readPieces(bytes, [cut], recorder));
    }
  });

  it("is read the same byte by byte", () => {
    const recorder = new Recorder();
    const short = bytes.subarray(0, 2000);
    const reader = readPieces(
      short,
      Array.from({ length: short.length }, (_, i) => i),
      recorder,
    );
    if (short.length === bytes.length) check(recorder, reader);
    else expect(recorder.frames[0]!.ended).toBe(false);
  });

  it("loses nothing when the handler refuses it for now", () => {
    for (const cut of [0, 1, 15, 16, 17, bytes.length]) {
      const recorder = new Recorder();
      recorder.refusals = 3;
      check(recorder, readPieces(bytes, [Math.min(cut, bytes.length)], recorder));
    }
  });
});

it("page checksums of the vectors are those of the arena", () => {
  const arena = new Arena(4096);
  let compared = 0;
  for (const { frame } of frameVectors) {
    if (frame.pages === undefined) continue;
    for (const [i, index] of indicesWithPage(frame).entries()) {
      const { pageId, checksum } = frame.metas![index]!;
      arena.bytes.set(unpack([frame.pages[i]!]));
      expect(arena.pageChecksum(0, pageId >>> 0, Math.floor(pageId / 2 ** 32))).toBe(checksum);
      compared += 1;
    }
  }
  expect(compared).toBeGreaterThan(60);
});

describe.each(badFrames)("refused: $name", ({ bytes: pieces, error, message }) => {
  const bytes = unpack(pieces);

  it(`as ${error}, whatever the pieces, before anything is made of it`, () => {
    for (const cut of Array.from({ length: Math.min(bytes.length, 60) + 1 }, (_, i) => i)) {
      const recorder = new Recorder();
      let caught: unknown;
      try {
        readPieces(bytes, [cut], recorder);
      } catch (thrown) {
        caught = thrown;
      }
      expect(caught).toBeInstanceOf(PeerError);
      const { wireCode, remote, message: said } = caught as PeerError;
      expect([wireCode, remote]).toEqual([WireError[error as keyof typeof WireError], false]);
      expect(said).toContain(message);
      expect(recorder.frames.some((f) => f.ended || f.body.length > 0 || f.pages.length > 0)).toBe(false);
    }
  });
});

describe.each(badHellos)("HELLO refused: $name", ({ body, error, message }) => {
  it(`as ${error}`, () => {
    const decode = () => decodeHello(Buffer.from(body, "hex"));
    expect(decode).toThrow(PeerError);
    expect(decode).toThrow(
      expect.objectContaining({
        wireCode: WireError[error as keyof typeof WireError],
        message: expect.stringContaining(message),
      }),
    );
  });
});

it("a refused header is offered again, unchanged, even when nothing more comes", () => {
  const bytes = unpack(frameVectors.find((v) => v.frame.type === "GETPAGE")!.bytes);
  const recorder = new Recorder();
  recorder.refusals = 2;
  const reader = new FrameReader(recorder);
  expect(reader.receive(bytes, 0, bytes.length)).toBe(16);
  expect(reader.stalled).toBe(true);
  expect(reader.receive(bytes, 16, 16)).toBe(0);
  expect(reader.stalled).toBe(true);
  expect(reader.receive(bytes, 16, 16)).toBe(0);
  expect(reader.stalled).toBe(false);
  expect(reader.receive(bytes, 16, bytes.length)).toBe(bytes.length - 16);
  expect(recorder.frames.map((f) => f.ended)).toEqual([true]);
});

it("what a reader keeps of a frame is bounded by the shapes of frames", () => {
  for (const shape of frameShapes.values()) {
    expect(shape.fixedBytes + shape.countMax * shape.entryBytes).toBeLessThanOrEqual(FIXED_BODY_BYTES_MAX);
  }
});
