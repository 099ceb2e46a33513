import { GROUP_MEMBERS_MAX, type GroupMember } from "../../proto/peer/index.ts";
import { NO_SERVER, type ServerTable } from "./server-table.ts";

/** Store frames whose members share a chunk of columns. */
const CHUNK_FRAMES = 1024;

/** Members of the groups of CHUNK_FRAMES frames: GROUP_MEMBERS_MAX entries a frame, 14 bytes each, and a count. */
class Chunk {
  readonly pageIds = new Float64Array(CHUNK_FRAMES * GROUP_MEMBERS_MAX);
  readonly checksums = new Uint32Array(CHUNK_FRAMES * GROUP_MEMBERS_MAX);
  /** As the server table numbers them. */
  readonly servers = new Uint16Array(CHUNK_FRAMES * GROUP_MEMBERS_MAX);
  readonly counts = new Uint8Array(CHUNK_FRAMES);
}

/**
 * The members of each group, by the store frame of its parity page. Columns in chunks that are made when first needed:
 * 113 bytes for each frame, 2.8% over the page.
 */
export class GroupTable {
  readonly #servers: ServerTable;
  readonly #chunks: (Chunk | undefined)[] = [];
  #count = 0;

  constructor(servers: ServerTable) {
    this.#servers = servers;
  }

  /** Groups whose members are known. */
  get count(): number {
    return this.#count;
  }

  /** Sets the members of the group in a frame; `server` as the server table numbers them, which it holds from here. */
  set(frame: number, members: readonly GroupMember[], count: number): void {
    const held = (i: number): number => this.#servers.hold(members[i]!.server);
    // Held before those of older members are released: most servers are the same.
    for (let i = 0; i < count; i += 1) held(i);
    this.clear(frame);
    const chunk = this.#chunkOf(frame);
    const at = (frame % CHUNK_FRAMES) * GROUP_MEMBERS_MAX;
    for (let i = 0; i < count; i += 1) {
      const member = members[i]!;
      chunk.pageIds[at + i] = member.pageId;
      chunk.checksums[at + i] = member.checksum;
      chunk.servers[at + i] = member.server;
    }
    chunk.counts[frame % CHUNK_FRAMES] = count;
    this.#count += 1;
  }

  /** The frame is to hold no group any more, if it did. */
  clear(frame: number): void {
    const chunk = this.#chunks[Math.floor(frame / CHUNK_FRAMES)];
    const count = chunk?.counts[frame % CHUNK_FRAMES] ?? 0;
    if (chunk === undefined || count === 0) return;
    const at = (frame % CHUNK_FRAMES) * GROUP_MEMBERS_MAX;
    for (let i = 0; i < count; i += 1) this.#servers.release(chunk.servers[at + i] ?? NO_SERVER);
    chunk.counts[frame % CHUNK_FRAMES] = 0;
    this.#count -= 1;
  }

  /** Members of the group in a frame; 0 if none are known. */
  membersOf(frame: number): number {
    return this.#chunks[Math.floor(frame / CHUNK_FRAMES)]?.counts[frame % CHUNK_FRAMES] ?? 0;
  }

  /** Reads the `i`-th member of the group in a frame. */
  member(frame: number, i: number, into: GroupMember): void {
    const chunk = this.#chunkOf(frame);
    const at = (frame % CHUNK_FRAMES) * GROUP_MEMBERS_MAX + i;
    into.pageId = chunk.pageIds[at]!;
    into.checksum = chunk.checksums[at]!;
    into.server = chunk.servers[at]!;
  }

  #chunkOf(frame: number): Chunk {
    const index = Math.floor(frame / CHUNK_FRAMES);
    const known = this.#chunks[index];
    if (known !== undefined) return known;
    const fresh = new Chunk();
    this.#chunks[index] = fresh;
    return fresh;
  }
}
