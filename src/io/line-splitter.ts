import { StringDecoder } from "node:string_decoder";

/** Cuts a stream of bytes into lines of text; a line longer than the limit comes in pieces. */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  /** @param line called with each line, without its end */
  constructor(
    private readonly line: (text: string) => void,
    private readonly lineCharsMax = 16 * 1024,
  ) {}

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const text of lines) this.line(text);
    while (this.#rest.length > this.lineCharsMax) {
      this.line(this.#rest.slice(0, this.lineCharsMax));
      this.#rest = this.#rest.slice(this.lineCharsMax);
    }
  }

  /** The stream is over: what has no line end is a line too. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = "";
    if (rest !== "") this.line(rest);
  }
}
