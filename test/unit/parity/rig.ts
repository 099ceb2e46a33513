import {
  beginCompose,
  beginGroups,
  beginPutPage,
  beginRecover,
  beginServers,
  COMPOSE_BYTES,
  composeSourcesAt,
  FrameType,
  GROUP_BYTES,
  type GroupMember,
  type LostPage,
  OWN_STORE,
  PAGE_BYTES,
  putGroup,
  putLostPage,
  putMember,
  putMeta,
  putServer,
  putSource,
  RECOVER_BYTES,
  recoverSourcesAt,
  SERVER_ENTRY_BYTES,
  type Source,
} from "../../../proto/peer/index.ts";
import { Arena } from "../../../src/base/arena.ts";
import { ArenaBlockPool, HeapBlockPool } from "../../../src/base/blocks.ts";
import { toHex } from "../../../src/base/hex.ts";
import { limits } from "../../../src/base/limits.ts";
import type { LogFields } from "../../../src/base/log.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import type { ServerLink } from "../../../src/client/server-link.ts";
import { ParityServerCore, type ParityServerOptions } from "../../../src/parity/parity-server.ts";
import type { MemoryServerCore, MemoryServerOptions } from "../../../src/server/memory-server.ts";
import type { ServerConnection } from "../../../src/server/server-connection.ts";
import { type Answer, type ClientOptions, newCore, pageOf, TestClient } from "../server/test-client.ts";

/** A link of the parity server and its memory server's end of it. */
interface LinkWire {
  link: ServerLink;
  out: OutQueue;
  connection: ServerConnection;
  answers: OutQueue;
  server: MemoryServerCore;
  identity: string;
}

export const identityOf = (number: number): Uint8Array => new Uint8Array(16).fill(number);
export const hexOf = (number: number): string => toHex(identityOf(number));

/** XOR of pages. */
export function xorOf(...pages: Uint8Array[]): Uint8Array {
  const sum = new Uint8Array(PAGE_BYTES);
  for (const page of pages) for (let i = 0; i < PAGE_BYTES; i += 1) sum[i] = sum[i]! ^ page[i]!;
  return sum;
}

/** A parity server and memory servers 1, 2, …; nothing moves but in `pump`. */
export class Rig {
  readonly arena: Arena;
  readonly core: ParityServerCore;
  readonly servers = new Map<number, MemoryServerCore>();
  readonly wires: LinkWire[] = [];
  readonly warnings: { message: string; fields: LogFields | undefined }[] = [];
  /** Links asked for. */
  readonly wanted: string[] = [];
  /** What becomes of a link that is wanted: made, said to be impossible, or nothing at all. */
  reach: "yes" | "no" | "silent" = "yes";
  /** Memory servers whose answers stay with them. */
  readonly held = new Set<number>();
  nowMs = 0;
  readonly #region: number;
  readonly #scratch: number;
  readonly #linkPool: ArenaBlockPool;

  constructor(options: Partial<ParityServerOptions> = {}, servers = 4) {
    const linkBytes = limits.parityLinkBlocks * limits.peerBlockBytes;
    this.arena = new Arena((limits.parityWorkFrames + 4) * PAGE_BYTES + limits.receiveBytesMax + linkBytes);
    this.core = new ParityServerCore({
      arena: this.arena,
      identity: identityOf(250),
      name: "parity",
      capacityFrames: 64,
      nonce: () => new Uint8Array(32),
      hashSeed: 5,
      scrubPerTick: 0,
      log: { info() {}, warn: (message, fields) => this.warnings.push({ message, fields }) },
      port: {
        wanted: (client, server) => this.#wanted(client, server),
        linkClosed: (link) => {
          const wire = this.wires.find((one) => one.link === link);
          if (wire !== undefined) this.cut(wire);
        },
      },
      ...options,
    });
    this.#region = this.arena.allocate(limits.receiveBytesMax);
    this.#scratch = this.arena.allocate(PAGE_BYTES);
    const { bytes, view } = this.arena;
    const start = this.arena.allocate(linkBytes);
    const blockBytes = limits.peerBlockBytes;
    this.#linkPool = new ArenaBlockPool({ bytes, view, start, count: limits.parityLinkBlocks, blockBytes });
    for (let i = 1; i <= servers; i += 1) this.startServer(i);
  }

  /** A memory server with this number, in place of one that had it. */
  startServer(number: number, options: Partial<MemoryServerOptions> = {}): MemoryServerCore {
    const server = newCore({ identity: identityOf(number), name: `server ${number}`, ...options });
    this.servers.set(number, server);
    return server;
  }

  /** The memory server dies: its links break. */
  stopServer(number: number): void {
    this.servers.delete(number);
    for (const wire of this.wires.filter((one) => one.identity === hexOf(number))) this.cut(wire);
  }

  #wanted(client: string, identity: string): void {
    this.wanted.push(`${client} ${identity}`);
    if (this.reach === "silent") return;
    const [number] = [...this.servers.keys()].filter((one) => hexOf(one) === identity);
    if (this.reach === "no" || number === undefined) return this.core.unreachable(client, identity);
    this.connect(client, identity, this.servers.get(number)!);
  }

  connect(client: string, identity: string, server: MemoryServerCore): void {
    const out = new OutQueue(this.#linkPool);
    const answers = new OutQueue(new HeapBlockPool(64));
    const link = this.core.openLink(client, identity, out, this.nowMs);
    this.wires.push({ link, out, connection: server.connect(answers), answers, server, identity });
  }

  /** The link's connection breaks: what is queued is gone. */
  cut(wire: LinkWire): void {
    this.wires.splice(this.wires.indexOf(wire), 1);
    wire.out.clear();
    wire.answers.clear();
    wire.connection.disconnected();
    this.core.linkEnded(wire.link);
  }

  /** Turns and transport until nothing moves any more. */
  pump(): void {
    for (let moved = true; moved; ) {
      this.core.flush();
      moved = false;
      for (const wire of [...this.wires]) if (this.#carry(wire)) moved = true;
    }
    this.core.check();
  }

  #carry(wire: LinkWire): boolean {
    const before = wire.out.queuedBytes;
    wire.connection.resume();
    while (wire.out.pieces > 0) {
      const piece = wire.out.piece(0).slice();
      const taken = wire.connection.receive(piece, 0, piece.length);
      wire.out.consume(taken);
      if (taken < piece.length) break;
    }
    let moved = wire.out.queuedBytes < before;
    wire.server.flush();
    const held = [...this.held].some((number) => hexOf(number) === wire.identity);
    if (!held && this.deliver(wire, wire.answers.queuedBytes)) moved = true;
    return moved;
  }

  /** So many bytes of what the memory server has sent. */
  deliver(wire: LinkWire, bytes: number): boolean {
    for (let left = bytes; left > 0 && this.wires.includes(wire); ) {
      const whole = wire.answers.piece(0);
      const piece = whole.subarray(0, Math.min(left, whole.length, limits.receiveBytesMax));
      left -= piece.length;
      this.arena.bytes.set(piece, this.#region);
      wire.answers.consume(piece.length);
      wire.link.receive(this.arena.bytes, this.#region, this.#region + piece.length, this.nowMs);
      if (wire.link.closed !== undefined) this.cut(wire);
    }
    return bytes > 0;
  }

  /** Time passes, in steps of a tick. */
  pass(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs = Math.min(end, this.nowMs + limits.tickMs);
      for (const server of this.servers.values()) server.tick(this.nowMs);
      this.core.tick(this.nowMs);
      this.pump();
    }
  }

  checksum(page: Uint8Array, pageId: number): number {
    this.arena.bytes.set(page, this.#scratch);
    return this.arena.pageChecksum(this.#scratch, pageId >>> 0, Math.floor(pageId / 2 ** 32));
  }

  /** Puts pages, made by pageOf of their ids, on a memory server in the name of a client. */
  putPages(server: number, ids: number[], identity = 1): void {
    const client = new TestClient(this.servers.get(server)!, { identity, epoch: 0 }).enter();
    client.checksumOf = (id) => this.checksum(pageOf(id), id);
    client.put(ids).ask();
    client.connection.disconnected();
  }

  memberOf(pageId: number, server: number): GroupMember {
    return { pageId, server, checksum: this.checksum(pageOf(pageId), pageId) };
  }
}

export interface Compose {
  group: number;
  handle?: number;
  members: GroupMember[];
  sources: Source[];
}

export interface Lost {
  pageId: number;
  slot?: number;
  checksum: number;
  newPageId?: number;
  target?: number;
  sources: Source[];
}

/** A client of the parity server. */
export class ParityClient extends TestClient {
  readonly #rig: Rig;
  #seq = 100;

  constructor(rig: Rig, options: ClientOptions = {}, pool = new HeapBlockPool(256)) {
    super(rig.core, { epoch: 0, ...options }, pool);
    this.#rig = rig;
    this.enter();
  }

  /** Sends what is queued, lets everything settle, and returns what was answered. */
  settle(): Answer[] {
    this.send();
    this.#rig.pump();
    return this.answers();
  }

  /** As `settle`; the statuses of results and of recovered pages, by entry. */
  statuses(): number[] {
    const statuses: number[] = [];
    for (const answer of this.settle()) {
      for (const result of answer.results) statuses[result.index] = result.status;
      if (answer.type === FrameType.PAGES) statuses.push(...answer.metas.map((meta) => meta.status));
    }
    return statuses;
  }

  /** Index i means memory server number i. */
  introduce(numbers: number[] = [1, 2, 3, 4]): this {
    const at = beginServers(this.script, numbers.length);
    for (const [i, number] of numbers.entries()) {
      putServer(this.script, at + i * SERVER_ENTRY_BYTES, number, identityOf(number));
    }
    return this;
  }

  putParity(group: number, page: Uint8Array, seq = this.#seq++): this {
    const at = beginPutPage(this.script, 1, seq);
    putMeta(this.script.view, at, group, 0, this.#rig.checksum(page, group), 0);
    const to = this.script.reserve(PAGE_BYTES);
    this.script.bytes.set(page, to);
    return this;
  }

  groups(...groups: { group: number; handle?: number; members: GroupMember[] }[]): this {
    const at = beginGroups(this.script, groups.length);
    const { view } = this.script;
    for (const [i, { group, members, handle }] of groups.entries()) {
      putGroup(view, at + i * GROUP_BYTES, group, members.length, 0, handle ?? 0);
      for (const [m, member] of members.entries()) putMember(view, at + i * GROUP_BYTES, m, member);
    }
    return this;
  }

  /** Closes a group as a client does: its parity page, then its members. */
  close(group: number, members: GroupMember[]): this {
    return this.putParity(group, xorOf(...members.map((member) => pageOf(member.pageId)))).groups({
      group,
      members,
    });
  }

  compose(entries: Compose[], seq = this.#seq++): this {
    const at = beginCompose(this.script, entries.length, seq);
    const { view } = this.script;
    for (const [i, { group, members, sources, handle }] of entries.entries()) {
      const here = at + i * COMPOSE_BYTES;
      putGroup(view, here, group, members.length, sources.length, handle ?? 0);
      for (const [m, member] of members.entries()) putMember(view, here, m, member);
      for (const [s, source] of sources.entries()) putSource(view, composeSourcesAt(here), s, source);
    }
    return this;
  }

  recover(entries: Lost[], seq = this.#seq++): this {
    return this.#lost(FrameType.RECOVER, entries, seq);
  }

  rebuild(entries: Lost[], seq = this.#seq++): this {
    return this.#lost(FrameType.REBUILD, entries, seq);
  }

  #lost(type: typeof FrameType.RECOVER | typeof FrameType.REBUILD, entries: Lost[], seq: number): this {
    const at = beginRecover(this.script, type, entries.length, seq);
    const { view } = this.script;
    for (const [i, { sources, ...entry }] of entries.entries()) {
      const here = at + i * RECOVER_BYTES;
      const page: LostPage = { slot: 0, newPageId: 0, target: 0, ...entry };
      putLostPage(view, here, page, sources.length);
      for (const [s, source] of sources.entries()) putSource(view, recoverSourcesAt(here), s, source);
    }
    return this;
  }
}

export const own = (pageId: number): Source => ({ pageId, server: OWN_STORE });
export const at = (pageId: number, server: number): Source => ({ pageId, server });
