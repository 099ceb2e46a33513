import type { CliHost } from "./command.ts";

/** How often progress is shown on a terminal, and elsewhere. */
const MOVE_MS = 250;
const LINE_MS = 10_000;

/** How far many runs have come: one line that moves, on a terminal, or now and then a line. */
export class Progress {
  readonly #host: Pick<CliHost, "complain" | "terminal">;
  readonly #runs: number;
  readonly #startedMs: number;
  #shownMs: number;
  #isShown = false;

  constructor(host: Pick<CliHost, "complain" | "terminal">, runs: number, startedMs: number) {
    this.#host = host;
    this.#runs = runs;
    this.#startedMs = startedMs;
    this.#shownMs = startedMs;
  }

  /** `done` runs are over at `nowMs`; says so, unless it was said just now. */
  show(done: number, failed: number, nowMs: number): void {
    const isTerminal = this.#host.terminal() !== null;
    if (done === this.#runs || nowMs - this.#shownMs < (isTerminal ? MOVE_MS : LINE_MS)) return;
    this.#shownMs = nowMs;
    const secondsLeft = Math.ceil((((nowMs - this.#startedMs) / done) * (this.#runs - done)) / 1000);
    const text = `${done} of ${this.#runs} runs, ${failed} failed, ${secondsLeft} s to go`;
    this.#host.complain(isTerminal ? `\r\x1b[K${text}` : `${text}\n`);
    this.#isShown = isTerminal;
  }

  /** Makes room for other text. */
  clear(): void {
    if (this.#isShown) this.#host.complain("\r\x1b[K");
    this.#isShown = false;
  }
}
