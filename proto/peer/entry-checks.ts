import { PeerError } from "./errors.ts";
import {
  composeSourceCountAt,
  composeSourcesAt,
  groupIdAt,
  memberCountAt,
  recoverSourceCountAt,
  recoverSourcesAt,
} from "./parity-frames.ts";
import {
  AckStatus,
  COMPOSE_SOURCES_MAX,
  type FrameShape,
  FrameType,
  GROUP_MEMBERS_MAX,
  MEMBER_BYTES,
  META_BYTES,
  OWN_STORE,
  PageStatus,
  RECOVER_SOURCES_MAX,
  ResultStatus,
  SERVER_INDEX_MAX,
  SOURCE_BYTES,
  WIDE_END,
  WireError,
} from "./wire.ts";
import { getWide } from "./writer.ts";

/** Throws PeerError for numbers and statuses of the entries that this version cannot mean: a handler sees none. */
export function checkEntries(type: number, shape: FrameShape, count: number, body: DataView): void {
  for (let i = 0; i < count; i += 1) {
    const at = shape.fixedBytes + i * shape.entryBytes;
    switch (type) {
      case FrameType.ACK:
        checkStatus(shape, body.getUint16(at + 6, true), AckStatus.FULL);
        break;
      case FrameType.RESULT:
        checkStatus(shape, body.getUint16(at + 6, true), ResultStatus.WRONG);
        break;
      case FrameType.GROUPS:
        checkGroup(shape, body, at);
        break;
      case FrameType.SERVERS:
        checkServer(shape, body.getUint16(at, true));
        break;
      case FrameType.COMPOSE:
        checkGroup(shape, body, at);
        checkSources(shape, body, composeSourcesAt(at), composeSourceCountAt(body, at), COMPOSE_SOURCES_MAX);
        break;
      case FrameType.REBUILD:
        checkWide(shape, body, at + 16, "new page id");
        checkServer(shape, body.getUint16(at + 28, true));
        checkLostPage(shape, body, at);
        break;
      case FrameType.RECOVER:
        checkLostPage(shape, body, at);
        break;
      case FrameType.MISMATCH:
        checkWide(shape, body, at, "group id");
        checkWide(shape, body, at + 8, "page id");
        break;
      default:
        checkPage(shape, body, at);
    }
  }
}

/** A page id alone, or the meta that it begins. */
function checkPage(shape: FrameShape, body: DataView, at: number): void {
  checkWide(shape, body, at, "page id");
  if (shape.entryBytes !== META_BYTES) return;
  checkWide(shape, body, at + 8, "slot");
  if (shape.rest === "some") checkStatus(shape, body.getUint32(at + 20, true), PageStatus.MISSING);
}

/** The descriptor of a group: its pages differ, and no two members share a server. */
function checkGroup(shape: FrameShape, body: DataView, at: number): void {
  checkWide(shape, body, at, "page id");
  const members = memberCountAt(body, at);
  checkCount(shape, members, GROUP_MEMBERS_MAX, "members");
  for (let i = 0; i < members; i += 1) checkMember(shape, body, at, i);
}

/** The `i`-th member of the group at `at`, against the group and the members before it. */
function checkMember(shape: FrameShape, body: DataView, at: number, i: number): void {
  const here = at + 16 + i * MEMBER_BYTES;
  checkWide(shape, body, here, "page id");
  const pageId = getWide(body, here);
  const server = body.getUint16(here + 12, true);
  checkServer(shape, server);
  if (pageId === groupIdAt(body, at)) throw broken(shape, `page ${pageId} is a member of its own group`);
  for (let before = at + 16; before < here; before += MEMBER_BYTES) {
    if (getWide(body, before) === pageId) throw memberTwice(shape, pageId);
    if (body.getUint16(before + 12, true) === server) throw sharedServer(shape, server);
  }
}

// Texts in functions of their own: within the loop, the engine makes strings of numbers ahead of every check.

const memberTwice = (shape: FrameShape, pageId: number): PeerError =>
  broken(shape, `page ${pageId} is a member twice`);

const sharedServer = (shape: FrameShape, server: number): PeerError =>
  broken(shape, `two members of a group on server ${server}`);

function checkLostPage(shape: FrameShape, body: DataView, at: number): void {
  checkWide(shape, body, at, "page id");
  checkWide(shape, body, at + 8, "slot");
  checkSources(shape, body, recoverSourcesAt(at), recoverSourceCountAt(body, at), RECOVER_SOURCES_MAX);
}

function checkSources(shape: FrameShape, body: DataView, at: number, count: number, countMax: number): void {
  checkCount(shape, count, countMax, "sources");
  for (let i = 0; i < count; i += 1) {
    const here = at + i * SOURCE_BYTES;
    checkWide(shape, body, here, "page id");
    const server = body.getUint16(here + 8, true);
    if (server !== OWN_STORE) checkServer(shape, server);
  }
}

function checkServer(shape: FrameShape, index: number): void {
  if (index > SERVER_INDEX_MAX)
    throw broken(shape, `index ${index} of a server, accepted is 0 to ${SERVER_INDEX_MAX}`);
}

function checkCount(shape: FrameShape, count: number, countMax: number, what: string): void {
  if (count < 1 || count > countMax) throw broken(shape, `${count} ${what}, accepted is 1 to ${countMax}`);
}

function checkWide(shape: FrameShape, body: DataView, at: number, what: string): void {
  if (body.getUint32(at + 4, true) >= WIDE_END / 2 ** 32)
    throw broken(shape, `${what} of 2^53 or more, accepted is less`);
}

function checkStatus(shape: FrameShape, status: number, last: number): void {
  if (status > last) throw broken(shape, `unknown status ${status}`);
}

const broken = (shape: FrameShape, what: string): PeerError =>
  new PeerError(WireError.PROTOCOL, `${shape.name}: ${what}`);
