import { limits } from "../base/limits.ts";

/** Exit status of a command that nobody reads any more: as a shell shows the end by SIGPIPE. */
const readerGoneStatus = 141;

/** What commands print, on the streams of this process, as far as what becomes of it. */
export class CommandOutput {
  readonly #streams = new Set<NodeJS.WriteStream>();
  #endsWithReader = false;
  #failed: NodeJS.ErrnoException | null = null;

  write(stream: NodeJS.WriteStream, text: string): void {
    this.#watch(stream);
    stream.write(text);
  }

  /** From now on the end of who reads the output is the end of the command. */
  endWithReader(): void {
    this.#endsWithReader = true;
    if (this.#failed !== null) this.#end(this.#failed);
  }

  /** Waits for readers however slow they are; a node, whose end others wait for, not for long. */
  async written(): Promise<void> {
    const taken = Promise.all([...this.#streams].map(whenTaken))
      // Errors are said a little later.
      .then(() => new Promise<void>((resolve) => setImmediate(resolve)));
    if (this.#endsWithReader) await taken;
    else await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, limits.lastWordsMsMax))]);
  }

  /** Who reads our output may go away at any time; that must not end a node whose memory others swap to. */
  #watch(stream: NodeJS.WriteStream): void {
    if (this.#streams.has(stream)) return;
    this.#streams.add(stream);
    stream.on("error", (error) => {
      this.#failed ??= error;
      if (this.#endsWithReader) this.#end(error);
    });
  }

  #end(error: NodeJS.ErrnoException): never {
    if (error.code === "EPIPE") process.exit(readerGoneStatus);
    process.stderr.write(`nswap: the output cannot be written: ${error.message}\n`);
    process.exit(1);
  }
}

/** Resolves when all that was written so far has been taken, or cannot be any more. */
function whenTaken(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0) return Promise.resolve();
  return new Promise((resolve) => stream.write("", () => resolve()));
}
