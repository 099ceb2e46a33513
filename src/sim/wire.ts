import type { Prng } from "../base/prng.ts";
import type { Path } from "./path.ts";
import type { Process } from "./process.ts";

/** Who uses one end of a connection. */
export interface EndUser {
  /** Where bytes are read into. */
  readonly window: Uint8Array;
  /** `length` bytes lie in the window; false stops reading until `End.resume()`. */
  read(length: number): boolean;
  /** The other side has closed (no error), or the connection broke. Said once; nothing is read after it. */
  ended(error: Error | undefined): void;
}

interface Segment {
  readonly bytes: Uint8Array;
  from: number;
  readonly atMs: number;
}

const RESET = "connection reset";

/**
 * One end of a simulated connection, and the bytes on their way to it.
 *
 *     write: pieces -> (as the other end's buffer has room) segments of the other end -> arrive -> its user
 *
 * Order is kept; sizes of segments and reads, and times, are drawn from the path's randomness. What an end has
 * sent arrives after it closed, as TCP has it, unless the connection is reset.
 */
export class End {
  readonly path: Path;
  readonly process: Process;
  /** 0: the connector's, 1: the acceptor's. */
  readonly side: 0 | 1;
  user: EndUser | undefined;
  other!: End;
  closed = false;
  /** Nothing arrives any more and nobody says so. */
  silent = false;
  readonly #incoming: Segment[] = [];
  readonly #capacityBytes: number;
  #incomingBytes = 0;
  #lastAtMs = 0;
  #finAtMs: number | undefined;
  #paused = false;
  #arriving = false;
  #breaking = false;
  #pieces: Uint8Array[] = [];
  #pieceFrom = 0;
  #written: (() => void) | undefined;

  constructor(path: Path, process: Process, side: 0 | 1, capacityBytes: number) {
    this.path = path;
    this.process = process;
    this.side = side;
    this.#capacityBytes = capacityBytes;
  }

  get #prng(): Prng {
    return this.path.prng;
  }

  // Sending

  /** Sends the pieces, which must stay as they are until `written` is called. */
  write(pieces: Uint8Array[], written?: () => void): void {
    this.#pieces.push(...pieces);
    this.#written = written;
    this.#pump();
  }

  /** Bytes given to `write` that the network has not taken. */
  get unsentBytes(): number {
    return this.#pieces.reduce((sum, piece) => sum + piece.length, -this.#pieceFrom);
  }

  #pump(): void {
    if (this.closed) return;
    const { other } = this;
    while (this.#pieces.length > 0) {
      const piece = this.#pieces[0]!;
      const left = piece.length - this.#pieceFrom;
      const length = Math.min(left, other.#room, this.#pieceSize());
      if (length === 0) return;
      other.#expect(piece.slice(this.#pieceFrom, this.#pieceFrom + length));
      this.#pieceFrom += length;
      if (length < left) continue;
      this.#pieces.shift();
      this.#pieceFrom = 0;
    }
    const written = this.#written;
    this.#written = undefined;
    if (written !== undefined) this.process.after(0.01, () => this.closed || written());
  }

  #pieceSize(): number {
    if (!this.#prng.chance(this.path.splitRate)) return Number.POSITIVE_INFINITY;
    return 1 + this.#prng.below(this.#prng.chance(0.5) ? 40 : 6000);
  }

  // Receiving

  get #room(): number {
    if (this.closed || this.silent) return Number.POSITIVE_INFINITY;
    return this.#capacityBytes - this.#incomingBytes;
  }

  #expect(bytes: Uint8Array): void {
    if (this.silent) return;
    // Nobody is there to read it: the sender is told.
    if (this.closed) return this.other.#breakLater();
    this.#lastAtMs = Math.max(this.#lastAtMs, this.path.arrivalMs());
    this.#incoming.push({ bytes, from: 0, atMs: this.#lastAtMs });
    this.#incomingBytes += bytes.length;
    this.#arriveLater();
  }

  /** The end is in use now: what came before is read. */
  open(user: EndUser): void {
    this.user = user;
    this.#arriveLater();
  }

  resume(): void {
    this.#paused = false;
    this.#arriveLater();
  }

  pause(): void {
    this.#paused = true;
  }

  #arriveLater(): void {
    if (this.#arriving || this.#paused || this.user === undefined || this.closed) return;
    const nextAtMs = this.#incoming[0]?.atMs ?? this.#finAtMs;
    if (nextAtMs === undefined) return;
    this.#arriving = true;
    const atMs = Math.max(nextAtMs, this.path.cloggedUntilMs(this.side));
    this.process.at(atMs, () => {
      this.#arriving = false;
      this.#arrive();
    });
  }

  #arrive(): void {
    if (this.closed || this.silent || this.#paused) return;
    const nowMs = this.process.nowMs;
    if (this.path.cloggedUntilMs(this.side) > nowMs) return this.#arriveLater();
    const length = this.#take(nowMs);
    if (length > 0) {
      if (this.other.#pieces.length > 0)
        this.other.process.after(this.path.latencyMs, () => this.other.#pump());
      if (!this.user!.read(length)) this.#paused = true;
    } else if (this.#incoming.length === 0 && this.#finAtMs !== undefined && this.#finAtMs <= nowMs) {
      this.#finAtMs = undefined;
      this.user!.ended(undefined);
      return;
    }
    this.#arriveLater();
  }

  /** Copies what has arrived into the user's window; returns how much. */
  #take(nowMs: number): number {
    const { window } = this.user!;
    const most = Math.min(window.length, this.#pieceSize());
    let length = 0;
    while (length < most && this.#incoming.length > 0 && this.#incoming[0]!.atMs <= nowMs) {
      const segment = this.#incoming[0]!;
      const take = Math.min(segment.bytes.length - segment.from, most - length);
      window.set(segment.bytes.subarray(segment.from, segment.from + take), length);
      length += take;
      segment.from += take;
      if (segment.from === segment.bytes.length) this.#incoming.shift();
    }
    this.#incomingBytes -= length;
    return length;
  }

  // The end

  /** Closes this end: what the network has of its bytes still arrives, unless `abrupt` or bytes were left unread. */
  close(abrupt: boolean): void {
    if (this.closed) return;
    const unread = this.#incoming.length > 0 || this.other.#pieces.length > 0;
    this.closed = true;
    this.#pieces = [];
    this.#incoming.length = 0;
    if (abrupt || (unread && !this.silent)) this.other.#breakLater();
    else this.other.#finish();
  }

  #finish(): void {
    if (this.closed || this.silent) return;
    this.#lastAtMs = Math.max(this.#lastAtMs, this.path.arrivalMs());
    this.#finAtMs = this.#lastAtMs;
    this.#arriveLater();
  }

  #breakLater(): void {
    if (this.#breaking || this.silent) return;
    this.#breaking = true;
    const atMs = Math.max(this.path.arrivalMs(), this.path.cloggedUntilMs(this.side));
    this.process.at(atMs, () => this.break());
  }

  /** The network breaks this end: nothing more comes, and its user is told. */
  break(message = RESET): void {
    if (this.closed || this.silent) return;
    this.closed = true;
    this.#pieces = [];
    this.#incoming.length = 0;
    this.user?.ended(new Error(message));
  }

  /** The process behind this end dies; `silently`: the other side is not told. */
  die(silently: boolean): void {
    if (!silently) return this.close(true);
    this.mute();
    this.other.mute();
  }

  /** What is sent from now on is lost, what was to come does not, and nobody says so. */
  mute(): void {
    this.silent = true;
    this.#incoming.length = 0;
    this.#finAtMs = undefined;
  }
}
