import { writeU64 } from "./bytes.ts";
import {
  BASE_ALLOCATION_ID,
  CHUNK_HEADER_BYTES,
  ChunkFlag,
  ChunkType,
  MAGIC_SIMPLE_REPLY,
  MAGIC_STRUCTURED_REPLY,
  SIMPLE_REPLY_BYTES,
} from "./constants.ts";
import type { NbdExtents } from "./extents.ts";
import { appendBytes, type NbdOutput } from "./output.ts";
import type { NbdRequest } from "./request.ts";

/** How each reply of the transmission phase is written. Every structured reply here is one chunk, marked DONE. */

const EXTENT_BYTES = 8;
const EXTENTS_A_RESERVE = 512;

/** Simple reply: error 0 for success. The data of a READ follows it. */
export function writeSimpleReply(output: NbdOutput, request: NbdRequest, error: number): void {
  const at = output.reserve(SIMPLE_REPLY_BYTES);
  const view = output.view;
  view.setUint32(at, MAGIC_SIMPLE_REPLY);
  view.setUint32(at + 4, error);
  view.setUint32(at + 8, request.cookieHigh);
  view.setUint32(at + 12, request.cookieLow);
}

/** Chunk of type NONE: success without data. */
export function writeNone(output: NbdOutput, request: NbdRequest): void {
  reserveChunk(output, request, ChunkType.NONE, 0, 0);
}

/** Start of a chunk OFFSET_DATA; the request's `length` bytes of data follow it. */
export function writeDataHeader(output: NbdOutput, request: NbdRequest): void {
  const at = reserveChunk(output, request, ChunkType.OFFSET_DATA, 8 + request.length, 8);
  writeU64(output.view, at, request.offset);
}

/** Chunk OFFSET_HOLE: the whole range of the request reads as zeroes. */
export function writeHole(output: NbdOutput, request: NbdRequest): void {
  const at = reserveChunk(output, request, ChunkType.OFFSET_HOLE, 12, 12);
  writeU64(output.view, at, request.offset);
  output.view.setUint32(at + 8, request.length);
}

/** Chunk ERROR with a message for people (may be empty, at most 65535 bytes). */
export function writeError(output: NbdOutput, request: NbdRequest, error: number, message: Uint8Array): void {
  const at = reserveChunk(output, request, ChunkType.ERROR, 6 + message.length, 6);
  output.view.setUint32(at, error);
  output.view.setUint16(at + 4, message.length);
  appendBytes(output, message);
}

/** Chunk BLOCK_STATUS of base:allocation with the first `count` (at least 1) of `extents`. */
export function writeBlockStatus(
  output: NbdOutput,
  request: NbdRequest,
  extents: NbdExtents,
  count: number,
): void {
  const at = reserveChunk(output, request, ChunkType.BLOCK_STATUS, 4 + count * EXTENT_BYTES, 4);
  output.view.setUint32(at, BASE_ALLOCATION_ID);
  for (let from = 0; from < count; from += EXTENTS_A_RESERVE) {
    writeExtents(output, extents, from, Math.min(from + EXTENTS_A_RESERVE, count));
  }
}

function writeExtents(output: NbdOutput, extents: NbdExtents, from: number, to: number): void {
  let at = output.reserve((to - from) * EXTENT_BYTES);
  const view = output.view;
  for (let index = from; index < to; index++) {
    view.setUint32(at, extents.lengthAt(index));
    view.setUint32(at + 4, extents.flagsAt(index));
    at += EXTENT_BYTES;
  }
}

/** Reserves a chunk's header and the first `fixed` bytes of its payload; returns where the payload starts. */
function reserveChunk(
  output: NbdOutput,
  request: NbdRequest,
  type: number,
  payloadBytes: number,
  fixed: number,
): number {
  const at = output.reserve(CHUNK_HEADER_BYTES + fixed);
  const view = output.view;
  view.setUint32(at, MAGIC_STRUCTURED_REPLY);
  view.setUint16(at + 4, ChunkFlag.DONE);
  view.setUint16(at + 6, type);
  view.setUint32(at + 8, request.cookieHigh);
  view.setUint32(at + 12, request.cookieLow);
  view.setUint32(at + 16, payloadBytes);
  return at + CHUNK_HEADER_BYTES;
}
