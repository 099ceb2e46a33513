import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called for each line of standard output and standard error. */
  readonly onLine?: (line: string) => void;
}

const TERM_MS_MAX = 5_000;
const OUTPUT_MS_MAX = 2_000;
const TAIL_LINES_MAX = 200;

/** A child process that dies with this one, whose last lines are kept, and that is ended by its own id. */
export class Child {
  readonly command: string;
  /** The last lines of output, oldest first. */
  readonly tail: string[] = [];
  /** Settles with "exit 0", "exit 1", "signal SIGKILL", "error …" when it ended and all output was read. */
  readonly ended: Promise<string>;
  #process: ChildProcess;
  #running = true;
  #waiters = new Set<() => void>();

  constructor(program: string, args: readonly string[], options: ChildOptions = {}) {
    this.command = [program, ...args].join(" ");
    // setpriv: the kernel ends the child when this process ends in any way, SIGKILL included.
    this.#process = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      // A session of its own: Ctrl-C in the terminal is for us, and we end our children in order.
      detached: true,
    });
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
        this.tail.push(line);
        if (this.tail.length > TAIL_LINES_MAX) this.tail.shift();
        options.onLine?.(line);
        for (const wake of this.#waiters) wake();
      });
    }
    this.ended = new Promise((resolve) => {
      this.#process.on("error", (error) => resolve(`error ${error.message}`));
      this.#process.on("exit", (code, signal) => {
        const how = signal ? `signal ${signal}` : `exit ${code}`;
        // A grandchild may hold the pipes open for ever.
        const timer = setTimeout(() => resolve(how), OUTPUT_MS_MAX);
        this.#process.on("close", () => {
          clearTimeout(timer);
          resolve(how);
        });
      });
    });
    void this.ended.then(() => {
      this.#running = false;
      for (const wake of this.#waiters) wake();
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get running(): boolean {
    return this.#running;
  }

  signal(name: NodeJS.Signals): void {
    if (this.#running) this.#process.kill(name);
  }

  /** Resolves with the first line that matches. Rejects, with the last output, when it ends or takes too long. */
  async line(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      for (const line of this.tail) {
        const match = line.match(pattern);
        if (match) return match;
      }
      const leftMs = deadline - performance.now();
      if (!this.#running || leftMs <= 0) {
        const why = this.#running ? `no line ${pattern} in ${timeoutMs} ms` : await this.ended;
        throw new Error(`${this.command}: ${why}\n${this.tail.join("\n")}`);
      }
      await this.#wake(leftMs);
    }
  }

  /** SIGTERM, then SIGKILL when that is not enough. Resolves when it has ended. */
  async stop(): Promise<string> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), TERM_MS_MAX);
    const how = await this.ended;
    clearTimeout(timer);
    return how;
  }

  /** SIGKILL. Resolves when it has ended. */
  async kill(): Promise<string> {
    this.signal("SIGKILL");
    return await this.ended;
  }

  #wake(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiters.add(wake);
    });
  }
}

/** Runs a program to its end. Resolves with its standard output and error; rejects when the status is not 0. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const child = new Child(program, args, { onLine: (line) => lines.push(line) });
  const how = await child.ended;
  if (how !== "exit 0") throw new Error(`${child.command}: ${how}\n${lines.join("\n")}`);
  return lines.join("\n");
}
