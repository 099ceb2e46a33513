import {
  COMPOSE_BYTES,
  composeSourceCountAt,
  composeSourcesAt,
  decodeHello,
  type FrameHandler,
  FrameReader,
  FrameType,
  frameShapes,
  GROUP_BYTES,
  getCapacity,
  getLostPage,
  getMember,
  getMismatch,
  getResult,
  getSource,
  getWide,
  groupHandleAt,
  groupIdAt,
  META_BYTES,
  MISMATCH_BYTES,
  memberCountAt,
  PAGE_BYTES,
  PageStatus,
  RECOVER_BYTES,
  RESULT_ENTRY_BYTES,
  recoverSourceCountAt,
  recoverSourcesAt,
  SERVER_ENTRY_BYTES,
} from "../../../proto/peer/index.ts";
import type { FrameFields, GroupFields, LostFields, Meta } from "./vectors.ts";

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
      return { ...head, ...decodedGroups(frame, view) };
  }
}

/** The same for the frames of parity groups. */
function decodedGroups({ type, count, body }: RecordedFrame, view: DataView): Partial<FrameFields> {
  const entries = <T>(start: number, bytes: number, read: (at: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => read(start + i * bytes));
  switch (type) {
    case FrameType.GROUPS:
      return { groups: entries(0, GROUP_BYTES, (at) => groupAt(view, at)) };
    case FrameType.SERVERS:
      return {
        servers: entries(0, SERVER_ENTRY_BYTES, (at) => ({
          index: view.getUint16(at, true),
          identity: body.toString("hex", at + 8, at + 24),
        })),
      };
    case FrameType.COMPOSE:
      return {
        composes: entries(0, COMPOSE_BYTES, (at) => ({
          ...groupAt(view, at),
          sources: sourcesAt(view, composeSourcesAt(at), composeSourceCountAt(view, at)),
        })),
      };
    case FrameType.REBUILD:
    case FrameType.RECOVER:
      return { lost: entries(0, RECOVER_BYTES, (at) => lostAt(view, at, type === FrameType.RECOVER)) };
    case FrameType.RESULT:
      return {
        capacity: capacityAt(view),
        results: entries(16, RESULT_ENTRY_BYTES, (at) => {
          const result = { seq: 0, index: 0, status: 0, checksum: 0 };
          getResult(view, at, result);
          return result;
        }),
      };
    case FrameType.MISMATCH:
      return {
        mismatches: entries(0, MISMATCH_BYTES, (at) => {
          const mismatch = { groupId: 0, pageId: 0, handle: 0 };
          getMismatch(view, at, mismatch);
          return mismatch;
        }),
      };
    default:
      return {};
  }
}

function groupAt(view: DataView, at: number): GroupFields {
  const members = Array.from({ length: memberCountAt(view, at) }, (_, i) => {
    const member = { pageId: 0, checksum: 0, server: 0 };
    getMember(view, at, i, member);
    return member;
  });
  return { groupId: groupIdAt(view, at), handle: groupHandleAt(view, at), members };
}

function sourcesAt(view: DataView, at: number, count: number) {
  return Array.from({ length: count }, (_, i) => {
    const source = { pageId: 0, server: 0 };
    getSource(view, at, i, source);
    return source;
  });
}

function lostAt(view: DataView, at: number, recover: boolean): LostFields {
  const page = { pageId: 0, slot: 0, checksum: 0, newPageId: 0, target: 0 };
  getLostPage(view, at, page);
  const sources = sourcesAt(view, recoverSourcesAt(at), recoverSourceCountAt(view, at));
  const reserved = recover && (page.newPageId !== 0 || page.target !== 0);
  return reserved ? { ...page, newPageId: null, target: null, sources } : { ...page, sources };
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
