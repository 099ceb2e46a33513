import { type Hello, PAGES_PER_FRAME_MAX, Role } from "../../../proto/peer/index.ts";
import { Arena } from "../../../src/base/arena.ts";
import { ArenaBlockPool, HeapBlockPool } from "../../../src/base/blocks.ts";
import { OutQueue } from "../../../src/base/out-queue.ts";
import { Prng } from "../../../src/base/prng.ts";
import { ClientCore } from "../../../src/client/client-core.ts";
import { clientLimits } from "../../../src/client/client-limits.ts";
import type { PageResult } from "../../../src/client/page-waiter.ts";
import type { ServerLink } from "../../../src/client/server-link.ts";
import { MemoryServerCore } from "../../../src/server/memory-server.ts";

const BLOCK_BYTES = 64 * 1024;
const REGION_BYTES = 1024 * 1024;

/** A client core whose connections are queues in the test's hands. */
export class ClientRig {
  readonly arena = new Arena(8 * 1024 * 1024);
  readonly core: ClientCore;
  readonly region: number;
  readonly #pool: ArenaBlockPool;

  constructor(slots = 64, frames = 32) {
    const own: Hello = {
      role: Role.CLIENT,
      keyed: false,
      identity: new Uint8Array(16).fill(7),
      nonce: new Uint8Array(32),
      epoch: 0,
      pagesPerFrame: PAGES_PER_FRAME_MAX,
      name: "client",
    };
    this.core = new ClientCore({
      arena: this.arena,
      slots,
      frames,
      limits: clientLimits,
      prng: new Prng(1),
      own: () => own,
      prover: undefined,
      port: { linkClosed: () => {}, notice: () => {} },
    });
    this.region = this.arena.allocate(REGION_BYTES);
    const { bytes, view } = this.arena;
    const start = this.arena.allocate(32 * BLOCK_BYTES);
    this.#pool = new ArenaBlockPool({ bytes, view, start, count: 32, blockBytes: BLOCK_BYTES });
  }

  newQueue(): OutQueue {
    return new OutQueue(this.#pool);
  }

  /** Writes a page of `value`, made no single repeated word; true in the result once it is held. */
  write(slot: number, value: number): { held: boolean } {
    const result = { held: false };
    const frame = this.core.frames.take(slot, {
      pageDone: () => {
        result.held = true;
      },
    });
    const at = this.core.frames.address(frame);
    this.arena.fill(at, value, 4096);
    this.arena.view.setUint32(at + 100, 0x12345678, true);
    this.core.writePage(frame);
    return result;
  }

  /** Reads a page: its first byte, once it is there. */
  read(slot: number): { value: number | undefined; result: PageResult | undefined } {
    const got: { value: number | undefined; result: PageResult | undefined } = {
      value: undefined,
      result: undefined,
    };
    const frame = this.core.frames.take(slot, {
      pageDone: (done, result) => {
        got.result = result;
        got.value = this.arena.bytes[this.core.frames.address(done)];
        this.core.frames.give(done);
      },
    });
    this.core.readPage(frame);
    return got;
  }
}

/** A memory server, and the connections that a rig has had with it. */
export class ServerRig {
  readonly core: MemoryServerCore;

  constructor(id: number, capacityFrames = 64) {
    this.core = new MemoryServerCore({
      identity: new Uint8Array(16).fill(id),
      name: `server${id}`,
      capacityFrames,
      nonce: () => new Uint8Array(32),
      hashSeed: 1,
      storeChunkBytes: 64 * 4096,
    });
  }
}

/** One connection between the two; bytes move only when told to. */
export class Connection {
  readonly link: ServerLink;
  readonly #client: ClientRig;
  readonly #toServer: OutQueue;
  readonly #toClient = new OutQueue(new HeapBlockPool(64, BLOCK_BYTES));
  readonly #server: ServerRig;
  readonly #accepted: ReturnType<MemoryServerCore["connect"]>;

  constructor(client: ClientRig, server: ServerRig, nowMs = 0) {
    this.#client = client;
    this.#server = server;
    this.#toServer = client.newQueue();
    this.#accepted = server.core.connect(this.#toClient);
    this.link = client.core.openLink(this.#toServer, nowMs);
  }

  /** What the client has sent so far, taken off its queue. */
  sent(): Uint8Array {
    return take(this.#toServer);
  }

  /** The server reads these bytes (default: all that was sent). */
  serve(bytes: Uint8Array = this.sent()): void {
    this.#accepted.receive(bytes, 0, bytes.length);
    this.#server.core.flush();
  }

  /** The client reads what the server has answered. */
  deliver(nowMs = 0): void {
    const bytes = take(this.#toClient);
    const { arena, region } = this.#client;
    arena.bytes.set(bytes, region);
    this.link.receive(arena.bytes, region, region + bytes.length, nowMs);
  }

  /** Lets both exchange `rounds` of what is queued already; the core encodes nothing more. */
  exchange(rounds: number): void {
    for (let i = 0; i < rounds; i += 1) {
      this.serve();
      this.deliver();
    }
  }

  /** Lets both talk until neither has anything to say. */
  settle(nowMs = 0): void {
    for (let i = 0; i < 20; i += 1) {
      // What waits for company goes out on a tick.
      this.#client.core.flush(nowMs, i >= 10);
      this.serve();
      this.deliver(nowMs);
    }
  }
}

function take(queue: OutQueue): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < queue.pieces; i += 1) parts.push(queue.piece(i).slice());
  queue.consume(queue.queuedBytes);
  return Buffer.concat(parts);
}
