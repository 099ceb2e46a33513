import { ByteRing } from "../base/byte-ring.ts";
import { limits } from "../base/limits.ts";
import { droppedText, type LineSink } from "./line-sink.ts";

/** Tells what became of a write: an error, or how many bytes were written. */
export type Written = (error: NodeJS.ErrnoException | null, bytes: number) => void;

/** Writes to a descriptor without blocking the thread of the event loop. */
export interface DescriptorWriter {
  /** Writes some of the bytes; `written` is called once, before this returns or later. */
  write(bytes: Uint8Array, from: number, to: number, written: Written): void;
  /** Writes as the process ends, when nothing can be waited for; some of it, or nothing. */
  writeAtExit(bytes: Uint8Array, from: number, to: number): number;
}

const LINE_END = 10;

/**
 * Lines on their way to a descriptor. One piece is being written, whole lines as far as they fit, the rest waits in
 * the ring. What cannot be written now is tried again: with the next line and soon, where nobody reads; now and then,
 * where it fails (a full disk gets room, a FIFO another reader; of a terminal that is gone nobody hears any more).
 */
export class DescriptorSink implements LineSink {
  describeDropped = droppedText;
  readonly #writer: DescriptorWriter;
  readonly #ring: ByteRing;
  #piece = new Uint8Array(limits.logPieceBytes);
  #from = 0;
  #to = 0;
  #dropped = 0;
  #isWriting = false;
  #isPumping = false;
  #isFailing = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(writer: DescriptorWriter, ringBytes: number = limits.logRingBytes) {
    this.#writer = writer;
    this.#ring = new ByteRing(ringBytes);
  }

  write(line: string): void {
    if (!this.#saidDropped() || !this.#ring.push(Buffer.from(line))) this.#dropped += 1;
    if (!this.#isFailing) this.#pump();
  }

  /** True if nothing is left to be said of dropped lines. Half of the room must be free, so that it is said seldom. */
  #saidDropped(): boolean {
    if (this.#dropped === 0) return true;
    if (this.#ring.free < this.#ring.length) return false;
    if (!this.#ring.push(Buffer.from(this.describeDropped(this.#dropped)))) return false;
    this.#dropped = 0;
    return true;
  }

  #pump(): void {
    if (this.#isPumping || this.#isOver) return;
    this.#isPumping = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (!this.#isWriting && this.#timer === undefined && this.#hasPiece()) {
      this.#isWriting = true;
      this.#writer.write(this.#piece, this.#from, this.#to, this.#written);
    }
    this.#isPumping = false;
  }

  /** True if there is something to write, which is then in the piece. */
  #hasPiece(): boolean {
    if (this.#from < this.#to) return true;
    this.#saidDropped();
    const count = this.#ring.peek(this.#piece);
    const lines = this.#piece.lastIndexOf(LINE_END, count - 1) + 1;
    this.#from = 0;
    this.#to = count > 0 && lines > 0 ? lines : count;
    this.#ring.drop(this.#to);
    return this.#to > 0;
  }

  readonly #written: Written = (error, bytes) => {
    this.#isWriting = false;
    this.#isFailing = error !== null && error.code !== "EAGAIN";
    if (error !== null || bytes === 0) this.#tryLater();
    else {
      this.#from += bytes;
      this.#pump();
    }
  };

  #tryLater(): void {
    const afterMs = this.#isFailing ? limits.logFailedRetryMs : limits.logRetryMs;
    this.#timer = setTimeout(() => this.#pump(), afterMs).unref();
  }

  get #isEmpty(): boolean {
    return this.#from === this.#to && this.#ring.length === 0 && this.#dropped === 0;
  }

  async finish(waitMsMax: number): Promise<boolean> {
    const deadlineMs = performance.now() + waitMsMax;
    this.#pump();
    while ((this.#isWriting || !this.#isEmpty) && !this.#isFailing && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, limits.logFinishLookMs));
      this.#pump();
    }
    this.#isOver = true;
    clearTimeout(this.#timer);
    return !this.#isWriting;
  }

  lastWords(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isWriting) {
      // Another thread still reads that piece, and writes it or not without us.
      this.#piece = new Uint8Array(limits.logPieceBytes);
      this.#from = this.#to;
    }
    while (this.#hasPiece()) {
      const bytes = this.#writer.writeAtExit(this.#piece, this.#from, this.#to);
      if (bytes === 0) return;
      this.#from += bytes;
    }
  }
}
