import { limits } from "../base/limits.ts";
import { droppedText, type LineSink } from "./line-sink.ts";

/** What a sink needs of a stream; those of Node have it. */
export interface LineStream {
  readonly writableLength: number;
  readonly destroyed: boolean;
  write(text: string): unknown;
  on(event: "error" | "drain", listener: () => void): unknown;
}

/** Lines on their way to a stream that does not block, such as one on a socket: its queue is kept within bounds. */
export class StreamSink implements LineSink {
  describeDropped = droppedText;
  readonly #stream: LineStream;
  readonly #queueBytes: number;
  #dropped = 0;

  constructor(stream: LineStream, queueBytes: number = limits.logRingBytes) {
    this.#stream = stream;
    this.#queueBytes = queueBytes;
    // Whoever reads may go away at any time; the node goes on without a log.
    stream.on("error", () => {});
    stream.on("drain", () => this.#saidDropped());
  }

  write(line: string): void {
    const free = this.#queueBytes - this.#stream.writableLength;
    if (!this.#saidDropped() || Buffer.byteLength(line) > free) this.#dropped += 1;
    else this.#stream.write(line);
  }

  #saidDropped(): boolean {
    if (this.#dropped === 0) return true;
    if (this.#stream.writableLength > this.#queueBytes / 2) return false;
    const text = this.describeDropped(this.#dropped);
    this.#dropped = 0;
    this.#stream.write(text);
    return true;
  }

  async finish(waitMsMax: number): Promise<boolean> {
    const deadlineMs = performance.now() + waitMsMax;
    while (this.#stream.writableLength > 0 && !this.#stream.destroyed && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, limits.logFinishLookMs));
    }
    return true;
  }

  /** The stream has tried at once to write what it was given. */
  lastWords(): void {}
}
