/**
 * The product's NBD front with nothing but memory behind it: nbd-server-protocol, the product's socket driver
 * and its arena, on a Unix socket and, if a port is named, on TCP. For the benchmark, to see what the front
 * alone costs, and for the interop tests, to tell faults of the front from others.
 *
 *     node ram-front.js SOCKET BYTES [PORT]
 */
import { createServer, type Socket } from "node:net";
import { availableParallelism } from "node:os";
import {
  NbdCommand,
  NbdExportTable,
  type NbdHandler,
  type NbdRequest,
  NbdServerSession,
} from "nbd-server-protocol";
import { Arena } from "../../src/base/arena.ts";
import { ArenaBlockPool, type BlockPool } from "../../src/base/blocks.ts";
import { limits } from "../../src/base/limits.ts";
import { OutQueue } from "../../src/base/out-queue.ts";
import { adoptRaw } from "../../src/io/raw-socket.ts";
import { type ReceiveRegion, receiveRegionIn } from "../../src/io/receive-region.ts";
import { type StreamHandler, StreamSocket } from "../../src/io/stream-socket.ts";
import { TurnFlusher } from "../../src/io/turn-flusher.ts";

const SEND_BLOCKS = 512;
/** Answers queued on one connection before its requests wait. */
const QUEUE_BYTES_SOFT = 4 * 1024 * 1024;

/** The device: a stretch of the arena. */
interface Device {
  readonly arena: Arena;
  readonly at: number;
}

interface Shared {
  readonly device: Device;
  readonly exports: NbdExportTable;
  readonly blocks: BlockPool;
  readonly region: ReceiveRegion;
  readonly flusher: TurnFlusher;
}

/** One connection: answers every request at once, from memory. */
class RamConnection implements NbdHandler, StreamHandler {
  readonly socket: StreamSocket;
  readonly #device: Device;
  readonly #out: OutQueue;
  readonly #session: NbdServerSession;

  constructor(shared: Shared) {
    this.#device = shared.device;
    this.#out = new OutQueue(shared.blocks, () => this.socket.markDirty());
    this.socket = new StreamSocket(this.#out, this, {
      region: shared.region,
      carryPool: shared.blocks,
      flusher: shared.flusher,
      turnBytes: limits.nbdTurnBytes,
    });
    this.#session = new NbdServerSession({ exports: shared.exports, handler: this, output: this.#out });
  }

  start(): void {
    this.#session.start();
  }

  receive(bytes: Uint8Array, start: number, end: number): number {
    return this.#session.receive(bytes, start, end);
  }

  get unfinishedBytes(): number {
    return this.#session.payloadLeft;
  }

  drained(): void {
    this.#session.resume();
    this.socket.resume();
  }

  inputEnded(): boolean {
    return this.#session.state === "disconnecting";
  }

  ended(): void {
    this.#session.disconnected();
  }

  request(request: NbdRequest): boolean {
    if (this.#out.queuedBytes > QUEUE_BYTES_SOFT) return false;
    const { command, offset, length } = request;
    const at = this.#device.at + offset;
    if (command === NbdCommand.WRITE) return true;
    if (command === NbdCommand.READ) this.#answerRead(request, at, length);
    else if (command === NbdCommand.BLOCK_STATUS) this.#session.replyBlockStatus(request, []);
    else {
      const isZeroing = command === NbdCommand.TRIM || command === NbdCommand.WRITE_ZEROES;
      if (isZeroing) this.#device.arena.fill(at, 0, length);
      this.#session.replyOk(request);
    }
    return true;
  }

  #answerRead(request: NbdRequest, at: number, length: number): void {
    if (!this.#session.beginReadReply(request)) return;
    const { arena } = this.#device;
    for (let done = 0; done < length; done += 4096) {
      const count = Math.min(4096, length - done);
      arena.copy(this.#out.reserve(count), at + done, count);
    }
    this.#session.endReadReply();
  }

  payload(request: NbdRequest, bytes: Uint8Array, start: number, end: number, position: number): void {
    const { arena } = this.#device;
    const to = this.#device.at + request.offset + position;
    if (bytes === arena.bytes) arena.copy(to, start, end - start);
    else arena.bytes.set(bytes.subarray(start, end), to);
    if (position + end - start === request.length) this.#session.replyOk(request);
  }

  closed(): void {
    this.socket.finish();
  }
}

function share(sizeBytes: number): Shared {
  const blockBytes = SEND_BLOCKS * limits.sendBlockBytes;
  const arena = new Arena(sizeBytes + blockBytes + limits.receiveBytesMax + 65_536);
  const at = arena.allocate(sizeBytes);
  const { bytes, view } = arena;
  const region = receiveRegionIn(bytes, arena.allocate(limits.receiveBytesMax));
  const blocks = new ArenaBlockPool({ bytes, view, start: arena.allocate(blockBytes), count: SEND_BLOCKS });
  const exports = new NbdExportTable([
    {
      name: "",
      description: "memory, for the benchmark",
      sizeBytes,
      readOnly: false,
      canFlush: true,
      canFua: true,
      canTrim: true,
      canWriteZeroes: true,
      canFastZero: true,
      canCache: true,
      canMultiConn: true,
      blockSize: { minimum: 1, preferred: 4096, maximum: limits.nbdRequestBytesMax },
    },
  ]);
  return {
    device: { arena, at },
    exports,
    blocks,
    region,
    flusher: new TurnFlusher({
      beforeFlush: () => {},
      busyPollUs: availableParallelism() > 1 ? limits.busyPollUs : 0,
    }),
  };
}

function serve(socketPath: string, sizeBytes: number, port: number | undefined): void {
  const shared = share(sizeBytes);
  const accept = (accepted: Socket) => {
    const connection = new RamConnection(shared);
    connection.socket.attach((region, onRead) => adoptRaw(accepted, region, onRead));
    connection.start();
  };
  // The socket's path appears last: whoever waits for it finds both.
  const listenOnPath = () => createServer({ pauseOnConnect: true }, accept).listen(socketPath);
  if (port === undefined) listenOnPath();
  else createServer({ pauseOnConnect: true }, accept).listen(port, "127.0.0.1", listenOnPath);
  process.once("SIGTERM", () => process.exit(0));
}

const [socketPath, sizeText, portText] = process.argv.slice(2);
const sizeBytes = Number(sizeText);
if (socketPath === undefined || !Number.isSafeInteger(sizeBytes) || sizeBytes < 4096) {
  process.stderr.write("ram-front SOCKET BYTES [PORT]\n");
  process.exitCode = 1;
} else {
  serve(socketPath, sizeBytes, portText === undefined ? undefined : Number(portText));
}
