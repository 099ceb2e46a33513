const PLAIN_EVERY_MS = 3_000;
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const CLEAR_BELOW = "\x1b[J";

/** A part of the terminal that is drawn over and over; plain lines now and then where there is no terminal. */
export class Screen {
  readonly #out: NodeJS.WriteStream;
  #drawn = 0;
  #plainMs = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    // A terminal that is gone must not end the program before it has cleaned up.
    out.on("error", () => undefined);
  }

  /** Shows `frame` in place of the last one; without a terminal `plain`, at most every few seconds. */
  show(frame: readonly string[], plain: string): void {
    if (!this.#out.isTTY) {
      const nowMs = performance.now();
      if (nowMs - this.#plainMs < PLAIN_EVERY_MS) return;
      this.#plainMs = nowMs;
      this.#out.write(`  ${plain}\n`);
      return;
    }
    const width = this.#out.columns;
    this.#out.write(
      `${HIDE_CURSOR}${this.#back()}${frame.map((line) => line.slice(0, width - 1)).join("\n")}\n`,
    );
    this.#drawn = frame.length;
  }

  /** A line that stays; the picture moves below it. */
  say(text: string): void {
    this.#out.write(`${this.#back()}> ${text}\n`);
    this.#drawn = 0;
  }

  /** Leaves the last picture standing and gives the cursor back. */
  end(): void {
    if (this.#out.isTTY) this.#out.write(SHOW_CURSOR);
    this.#drawn = 0;
  }

  #back(): string {
    return this.#drawn > 0 ? `\x1b[${this.#drawn}F${CLEAR_BELOW}` : "";
  }
}
