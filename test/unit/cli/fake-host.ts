import type { CliHost } from "../../../src/cli/command.ts";
import { droppedText, type LineSink } from "../../../src/io/line-sink.ts";

class FakeSink implements LineSink {
  describeDropped = droppedText;
  constructor(readonly write: (line: string) => void) {}
  async finish(): Promise<boolean> {
    return true;
  }
  lastWords(): void {}
}

/** A stand-in for the process: keeps what was written, sends signals when told. */
export class FakeHost implements CliHost {
  out = "";
  err = "";
  endsWithReader = false;
  size: { columns: number; rows: number } | null = null;
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(readonly environment: Record<string, string | undefined> = {}) {}

  readonly output: LineSink = new FakeSink((line) => this.print(line));
  readonly log: LineSink = new FakeSink((line) => this.complain(line));

  print(text: string): void {
    this.out += text;
  }
  complain(text: string): void {
    this.err += text;
  }
  endWithReader(): void {
    this.endsWithReader = true;
  }
  async written(): Promise<void> {}
  terminal() {
    return this.size;
  }
  on(event: string, listener: () => void): void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener));
  }
  off(event: string, listener: () => void): void {
    this.#listeners.get(event)?.delete(listener);
  }
  emit(event: string): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener();
  }
  get listening(): number {
    return [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }
}
