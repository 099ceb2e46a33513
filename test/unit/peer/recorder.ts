import {
  decodeHello,
  type FrameHandler,
  FrameReader,
  FrameType,
  frameShapes,
  getCapacity,
  getWide,
  META_BYTES,
  PAGE_BYTES,
  PageStatus,
} from "../../../proto/peer/index.ts";
import type { FrameFields, Meta } from "./vectors.ts";

export interface RecordedPage {
  index: number;
  bytes: Buffer;
}

/** A frame as its handler saw it: the header, what `body` held, and the pages put together. */
export interface RecordedFrame {
  type: number;
  count: number;
  bodyBytes: number;
  seq: number;
  aux: number;
  body: Buffer;
  pages: RecordedPage[];
  ended: boolean;
}

/** Writes down what a reader says, and checks that it says it in order. */
export class Recorder implements FrameHandler {
  readonly frames: RecordedFrame[] = [];
  /** Headers to be refused before one is let through. */
  refusals = 0;
  #stage: "between" | "header" | "body" = "between";

  header(reader: FrameReader): boolean {
    this.#move("between", "header");
    if (this.refusals > 0) {
      this.refusals -= 1;
      this.#stage = "between";
      return false;
    }
    const { type, count, bodyBytes, seq, aux } = reader;
    this.frames.push({ type, count, bodyBytes, seq, aux, body: Buffer.alloc(0), pages: [], ended: false });
    return true;
  }

  body(reader: FrameReader): void {
    this.#move("header", "body");
    this.#frame.body = Buffer.from(reader.bodyRaw.subarray(0, reader.fixedBytes));
  }

  page(_: FrameReader, index: number, bytes: Uint8Array, start: number, end: number, position: number): void {
    this.#move("body", "body");
    if (start >= end) throw new Error("an empty piece of a page");
    const { pages } = this.#frame;
    if (position === 0) pages.push({ index, bytes: Buffer.alloc(0) });
    const page = pages.at(-1)!;
    if (page.index !== index || page.bytes.length !== position) throw new Error("a page out of order");
    page.bytes = Buffer.concat([page.bytes, bytes.subarray(start, end)]);
  }

  end(): void {
    this.#move("body", "between");
    for (const page of this.#frame.pages) {
      if (page.bytes.length !== PAGE_BYTES) throw new Error("a page is not whole at the end of its frame");
    }
    this.#frame.ended = true;
  }

  get #frame(): RecordedFrame {
    return this.frames.at(-1)!;
  }

  #move(from: Recorder["stage"], to: Recorder["stage"]): void {
    if (this.#stage !== from) throw new Error(`told of "${to}" in "${this.#stage}"`);
    this.#stage = to;
  }

  get stage(): "between" | "header" | "body" {
    return this.#stage;
  }
}

/** Reads a stream in pieces that end at `cuts`; a stalled reader is asked again with what it left. */
export function readPieces(stream: Uint8Array, cuts: number[], recorder: Recorder): FrameReader {
  const reader = new FrameReader(recorder);
  let at = 0;
  for (const cut of [...cuts, stream.length]) {
    // A copy, wiped afterwards: what the reader kept of it would show.
    const piece = Uint8Array.from(stream.subarray(at, cut));
    let taken = 0;
    do taken += reader.receive(piece, taken, piece.length);
    while (taken < piece.length || reader.stalled);
    piece.fill(0xee);
    at = cut;
  }
  return reader;
}

/** The fields of a recorded frame, as the vectors write them, but for the pages' bytes. */
export function decoded(frame: RecordedFrame): Omit<FrameFields, "pages"> {
  const { count, bodyBytes, seq, aux, body } = frame;
  const head = { type: frameShapes.get(frame.type)!.name, count, bodyBytes, seq, aux };
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  switch (frame.type) {
    case FrameType.HELLO: {
      const { identity, nonce, ...rest } = decodeHello(body);
      const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
      return { ...head, hello: { ...rest, identity: hex(identity), nonce: hex(nonce) } };
    }
    case FrameType.PROOF:
      return { ...head, proof: body.toString("hex") };
    case FrameType.WELCOME:
    case FrameType.PONG:
      return { ...head, capacity: capacityAt(view) };
    case FrameType.ERROR:
      return { ...head, text: body.toString("utf8") };
    case FrameType.ACK:
      return {
        ...head,
        capacity: capacityAt(view),
        entries: Array.from({ length: count }, (_, i) => ({
          seq: view.getUint32(16 + i * 8, true),
          accepted: view.getUint16(20 + i * 8, true),
          status: view.getUint16(22 + i * 8, true),
        })),
      };
    case FrameType.GETPAGE:
    case FrameType.INVALIDATE:
      return { ...head, pageIds: Array.from({ length: count }, (_, i) => getWide(view, i * 8)) };
    case FrameType.PUTPAGE:
    case FrameType.PAGES:
    case FrameType.LISTING:
      return { ...head, metas: Array.from({ length: count }, (_, i) => metaAt(view, i * META_BYTES)) };
    default:
      return head;
  }
}

function capacityAt(view: DataView) {
  const capacity = { free: 0, limit: 0, used: 0 };
  getCapacity(view, 0, capacity);
  return capacity;
}

function metaAt(view: DataView, at: number): Meta {
  return {
    pageId: getWide(view, at),
    slot: getWide(view, at + 8),
    checksum: view.getUint32(at + 16, true),
    status: view.getUint32(at + 20, true),
  };
}

/** Indices of the entries that have a page, of a PUTPAGE or PAGES. */
export function indicesWithPage(frame: FrameFields): number[] {
  const all = frame.metas!.map((meta, i) => ({ i, ok: meta.status === PageStatus.OK }));
  return all.filter(({ ok }) => ok || frame.type === "PUTPAGE").map(({ i }) => i);
}
