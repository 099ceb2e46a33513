import {
  CAPACITY_BYTES,
  COMPOSE_BYTES,
  FrameType,
  GROUP_BYTES,
  MEMBER_BYTES,
  MISMATCH_BYTES,
  RECOVER_BYTES,
  RESULT_ENTRY_BYTES,
  SERVER_ENTRY_BYTES,
  SOURCE_BYTES,
} from "./wire.ts";
import { beginFrame, type Capacity, type FrameSink, getWide, putCapacity, putWide } from "./writer.ts";

/** A page that belongs to a parity group. */
export interface GroupMember {
  pageId: number;
  checksum: number;
  /** As SERVERS named it. */
  server: number;
}

/** A page to be XORed: in the memory of a server, or (OWN_STORE) a parity page of the one who is asked. */
export interface Source {
  pageId: number;
  server: number;
}

/** What RECOVER and REBUILD say of the page before its sources. */
export interface LostPage {
  pageId: number;
  slot: number;
  checksum: number;
  /** REBUILD: the id it gets at the target. RECOVER: reserved. */
  newPageId: number;
  /** REBUILD: index of the server it is put on. RECOVER: reserved. */
  target: number;
}

/** Begins a frame of `count` entries of one of the parity types; the entries start at the returned offset. */
function begin(sink: FrameSink, type: number, count: number, entryBytes: number, seq: number): number {
  const at = beginFrame(sink, type, count, count * entryBytes, count * entryBytes, seq);
  sink.bytes.fill(0, at, at + count * entryBytes);
  return at;
}

/** Begins GROUPS: descriptors (putGroup, putMember) of groups whose parity pages were put before. */
export const beginGroups = (sink: FrameSink, count: number): number =>
  begin(sink, FrameType.GROUPS, count, GROUP_BYTES, 0);

/** Begins SERVERS: what indices of servers mean from here on (putServer). */
export const beginServers = (sink: FrameSink, count: number): number =>
  begin(sink, FrameType.SERVERS, count, SERVER_ENTRY_BYTES, 0);

/** Begins COMPOSE: each entry a descriptor, then sources from composeSourcesAt on. */
export const beginCompose = (sink: FrameSink, count: number, seq: number): number =>
  begin(sink, FrameType.COMPOSE, count, COMPOSE_BYTES, seq);

/** Begins REBUILD or RECOVER: each entry a page (putLostPage), then sources from recoverSourcesAt on. */
export const beginRecover = (
  sink: FrameSink,
  type: typeof FrameType.REBUILD | typeof FrameType.RECOVER,
  count: number,
  seq: number,
): number => begin(sink, type, count, RECOVER_BYTES, seq);

/** Begins RESULT: figures, then entries (putResult). */
export function beginResult(sink: FrameSink, count: number, capacity: Capacity): number {
  const bytes = CAPACITY_BYTES + count * RESULT_ENTRY_BYTES;
  const at = beginFrame(sink, FrameType.RESULT, count, bytes, bytes);
  putCapacity(sink.view, at, capacity);
  return at + CAPACITY_BYTES;
}

/**
 * Writes the head of a descriptor: id of the group's parity page, number of members, number of sources (COMPOSE), and
 * the client's handle of the group, which the parity server keeps as the slot of the parity page and shows in LISTING.
 */
export function putGroup(
  view: DataView,
  at: number,
  groupId: number,
  members: number,
  sources: number,
  handle: number,
): void {
  putWide(view, at, groupId);
  view.setUint16(at + 8, members, true);
  view.setUint16(at + 10, sources, true);
  view.setUint32(at + 12, handle, true);
}

/** Writes the `i`-th member of the descriptor at `at`. */
export function putMember(view: DataView, at: number, i: number, member: Readonly<GroupMember>): void {
  const here = at + 16 + i * MEMBER_BYTES;
  putWide(view, here, member.pageId);
  view.setUint32(here + 8, member.checksum, true);
  view.setUint16(here + 12, member.server, true);
  view.setUint16(here + 14, 0, true);
}

export function getMember(view: DataView, at: number, i: number, into: GroupMember): void {
  const here = at + 16 + i * MEMBER_BYTES;
  into.pageId = getWide(view, here);
  into.checksum = view.getUint32(here + 8, true);
  into.server = view.getUint16(here + 12, true);
}

export const groupIdAt = getWide;
export const memberCountAt = (view: DataView, at: number): number => view.getUint16(at + 8, true);
export const composeSourceCountAt = (view: DataView, at: number): number => view.getUint16(at + 10, true);
export const groupHandleAt = (view: DataView, at: number): number => view.getUint32(at + 12, true);
export const composeSourcesAt = (at: number): number => at + GROUP_BYTES;

/** Writes the `i`-th of the sources that begin at `at`. */
export function putSource(view: DataView, at: number, i: number, source: Readonly<Source>): void {
  const here = at + i * SOURCE_BYTES;
  putWide(view, here, source.pageId);
  view.setUint16(here + 8, source.server, true);
  view.setUint16(here + 10, 0, true);
  view.setUint32(here + 12, 0, true);
}

export function getSource(view: DataView, at: number, i: number, into: Source): void {
  const here = at + i * SOURCE_BYTES;
  into.pageId = getWide(view, here);
  into.server = view.getUint16(here + 8, true);
}

/** Writes the head of a RECOVER or REBUILD entry. */
export function putLostPage(view: DataView, at: number, page: Readonly<LostPage>, sources: number): void {
  putWide(view, at, page.pageId);
  putWide(view, at + 8, page.slot);
  putWide(view, at + 16, page.newPageId);
  view.setUint32(at + 24, page.checksum, true);
  view.setUint16(at + 28, page.target, true);
  view.setUint16(at + 30, sources, true);
  view.setUint32(at + 32, 0, true);
  view.setUint32(at + 36, 0, true);
}

export function getLostPage(view: DataView, at: number, into: LostPage): void {
  into.pageId = getWide(view, at);
  into.slot = getWide(view, at + 8);
  into.newPageId = getWide(view, at + 16);
  into.checksum = view.getUint32(at + 24, true);
  into.target = view.getUint16(at + 28, true);
}

export const recoverSourceCountAt = (view: DataView, at: number): number => view.getUint16(at + 30, true);
export const recoverSourcesAt = (at: number): number => at + 40;

/** Writes an entry of SERVERS: from now on `index` is the server of this identity (16 bytes). */
export function putServer(sink: FrameSink, at: number, index: number, identity: Uint8Array): void {
  sink.view.setUint16(at, index, true);
  sink.view.setUint16(at + 2, 0, true);
  sink.view.setUint32(at + 4, 0, true);
  sink.bytes.set(identity, at + 8);
}

/** An entry of RESULT: how the `index`-th entry of request `seq` went; REBUILD: checksum under the new id. */
export interface Result {
  seq: number;
  index: number;
  status: number;
  checksum: number;
}

export function putResult(view: DataView, at: number, result: Readonly<Result>): void {
  view.setUint32(at, result.seq, true);
  view.setUint16(at + 4, result.index, true);
  view.setUint16(at + 6, result.status, true);
  view.setUint32(at + 8, result.checksum, true);
  view.setUint32(at + 12, 0, true);
}

export function getResult(view: DataView, at: number, into: Result): void {
  into.seq = view.getUint32(at, true);
  into.index = view.getUint16(at + 4, true);
  into.status = view.getUint16(at + 6, true);
  into.checksum = view.getUint32(at + 8, true);
}

/** An entry of MISMATCH: this page of the group, or (of the group's own id) its parity page, is wrong. */
export interface Mismatch {
  groupId: number;
  pageId: number;
  /** As the client gave it. */
  handle: number;
}

/** Begins MISMATCH: entries (putMismatch) at the returned offset. */
export const beginMismatch = (sink: FrameSink, count: number): number =>
  begin(sink, FrameType.MISMATCH, count, MISMATCH_BYTES, 0);

export function putMismatch(view: DataView, at: number, mismatch: Readonly<Mismatch>): void {
  putWide(view, at, mismatch.groupId);
  putWide(view, at + 8, mismatch.pageId);
  view.setUint32(at + 16, mismatch.handle, true);
  view.setUint32(at + 20, 0, true);
}

export function getMismatch(view: DataView, at: number, into: Mismatch): void {
  into.groupId = getWide(view, at);
  into.pageId = getWide(view, at + 8);
  into.handle = view.getUint32(at + 16, true);
}
