import {
  beginAck,
  beginCompose,
  beginFrame,
  beginGetPage,
  beginGroups,
  beginInvalidate,
  beginListing,
  beginMismatch,
  beginPages,
  beginPutPage,
  beginRecover,
  beginResult,
  beginServers,
  COMPOSE_BYTES,
  composeSourcesAt,
  encodeHello,
  type FrameSink,
  FrameType,
  GROUP_BYTES,
  type LostPage,
  META_BYTES,
  MISMATCH_BYTES,
  PAGE_BYTES,
  putAckEntry,
  putBare,
  putCapacityFrame,
  putError,
  putGroup,
  putList,
  putLostPage,
  putMember,
  putMeta,
  putMismatch,
  putResult,
  putServer,
  putSource,
  putWide,
  RECOVER_BYTES,
  RESULT_ENTRY_BYTES,
  recoverSourcesAt,
  SERVER_ENTRY_BYTES,
  type Source,
  type WireError,
} from "../../../proto/peer/index.ts";
import { type FrameFields, type GroupFields, type Meta, type Piece, unpack } from "./vectors.ts";

/** Writes the frame that the fields tell of, with the codec's own writer. */
export function writeFrame(sink: FrameSink, frame: FrameFields): void {
  const { count, seq, aux } = frame;
  switch (frame.type) {
    case "HELLO": {
      const { identity, nonce, ...rest } = frame.hello!;
      const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
      putRaw(sink, FrameType.HELLO, encodeHello({ ...rest, identity: bytes(identity), nonce: bytes(nonce) }));
      return;
    }
    case "PROOF":
      putRaw(sink, FrameType.PROOF, Buffer.from(frame.proof!, "hex"));
      return;
    case "WELCOME":
    case "PONG":
      putCapacityFrame(sink, FrameType[frame.type], frame.capacity!, seq);
      return;
    case "ERROR":
      putError(sink, aux as WireError, frame.text!);
      return;
    case "GOODBYE":
    case "PING":
      putBare(sink, FrameType[frame.type], seq);
      return;
    case "LIST":
      putList(sink, aux);
      return;
    case "PUTPAGE":
      putMetas(sink, beginPutPage(sink, count, seq), frame.metas!);
      putPages(sink, frame.pages!);
      return;
    case "PAGES":
      putMetas(sink, beginPages(sink, count, frame.pages!.length, seq), frame.metas!);
      putPages(sink, frame.pages!);
      return;
    case "LISTING":
      putMetas(sink, beginListing(sink, count, aux), frame.metas!);
      return;
    case "GETPAGE":
      putIds(sink, beginGetPage(sink, count, seq), frame.pageIds!);
      return;
    case "INVALIDATE":
      putIds(sink, beginInvalidate(sink, count), frame.pageIds!);
      return;
    case "ACK": {
      const at = beginAck(sink, count, frame.capacity!);
      for (const [i, e] of frame.entries!.entries()) {
        putAckEntry(sink.view, at + i * 8, e.seq, e.accepted, e.status);
      }
      return;
    }
    case "SERVERS": {
      const at = beginServers(sink, count);
      for (const [i, server] of frame.servers!.entries()) {
        const identity = Buffer.from(server.identity, "hex");
        putServer(sink, at + i * SERVER_ENTRY_BYTES, server.index, identity);
      }
      return;
    }
    case "GROUPS":
      putGroups(sink, beginGroups(sink, count), GROUP_BYTES, frame.groups!);
      return;
    case "COMPOSE": {
      const at = beginCompose(sink, count, seq);
      putGroups(sink, at, COMPOSE_BYTES, frame.composes!);
      for (const [i, { sources }] of frame.composes!.entries()) {
        putSources(sink, composeSourcesAt(at + i * COMPOSE_BYTES), sources);
      }
      return;
    }
    case "REBUILD":
    case "RECOVER": {
      const at = beginRecover(sink, FrameType[frame.type], count, seq);
      for (const [i, page] of frame.lost!.entries()) {
        const here = at + i * RECOVER_BYTES;
        putLostPage(sink.view, here, page as LostPage, page.sources.length);
        putSources(sink, recoverSourcesAt(here), page.sources);
      }
      return;
    }
    case "RESULT": {
      const at = beginResult(sink, count, frame.capacity!);
      for (const [i, result] of frame.results!.entries())
        putResult(sink.view, at + i * RESULT_ENTRY_BYTES, result);
      return;
    }
    case "MISMATCH": {
      const at = beginMismatch(sink, count);
      for (const [i, mismatch] of frame.mismatches!.entries())
        putMismatch(sink.view, at + i * MISMATCH_BYTES, mismatch);
      return;
    }
    default:
      throw new Error(`the test knows no ${frame.type}`);
  }
}

function putRaw(sink: FrameSink, type: number, body: Uint8Array): void {
  const at = beginFrame(sink, type, 0, body.length, body.length);
  sink.bytes.set(body, at);
}

function putGroups(
  sink: FrameSink,
  at: number,
  entryBytes: number,
  groups: (GroupFields & { sources?: Source[] })[],
): void {
  for (const [i, { groupId, handle, members, sources }] of groups.entries()) {
    const here = at + i * entryBytes;
    putGroup(sink.view, here, groupId, members.length, sources?.length ?? 0, handle);
    for (const [k, member] of members.entries()) putMember(sink.view, here, k, member);
  }
}

function putSources(sink: FrameSink, at: number, sources: Source[]): void {
  for (const [i, source] of sources.entries()) putSource(sink.view, at, i, source);
}

function putMetas(sink: FrameSink, at: number, metas: Meta[]): void {
  for (const [i, m] of metas.entries()) {
    putMeta(sink.view, at + i * META_BYTES, m.pageId, m.slot, m.checksum, m.status);
  }
}

function putIds(sink: FrameSink, at: number, ids: number[]): void {
  for (const [i, id] of ids.entries()) putWide(sink.view, at + i * 8, id);
}

function putPages(sink: FrameSink, pages: Piece[]): void {
  for (const page of pages) {
    const at = sink.reserve(PAGE_BYTES);
    sink.bytes.set(unpack([page]), at);
  }
}
