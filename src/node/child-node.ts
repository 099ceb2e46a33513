import { type ChildProcess, spawn } from "node:child_process";
import { LineSplitter } from "../io/line-splitter.ts";
import { parseReadyLine, type ReadyLine } from "./running-node.ts";

/** How `nswap` is started as a child: a program and the arguments before the command's name. */
export interface ProgramCommand {
  readonly file: string;
  readonly args: readonly string[];
}

export interface ChildExit {
  readonly pid: number | null;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The program could not even be started. */
  readonly error: string | null;
}

/** For people: `exit status 1`, `signal SIGKILL`, or why it could not be started. */
export function describeExit(exit: ChildExit): string {
  if (exit.error !== null) return `could not be started: ${exit.error}`;
  return exit.signal === null ? `exit status ${exit.code}` : `signal ${exit.signal}`;
}

/**
 * One node as a child process. It has a process group of its own, so that Ctrl-C in a terminal reaches the parent
 * alone, and an IPC channel that carries nothing: when the parent is gone, however it went, the channel breaks and
 * the node stops (see `runNode`).
 */
export class ChildNode {
  readonly label: string;
  /** Null if the program could not be started. */
  readonly pid: number | null;
  /** The node's ready line, null if it ended before one came. Never rejects. */
  readonly ready: Promise<ReadyLine | null>;
  /** Resolves once the process is gone and all it wrote was passed on. Never rejects. */
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  #gone = false;

  /** @param line called with each line that the node writes, the ready line aside */
  constructor(
    label: string,
    program: ProgramCommand,
    args: readonly string[],
    line: (label: string, text: string) => void,
  ) {
    this.label = label;
    this.#process = spawn(program.file, [...program.args, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
      env: withoutOptions(process.env),
    });
    this.pid = this.#process.pid ?? null;
    let tellReady: (ready: ReadyLine | null) => void;
    this.ready = new Promise((resolve) => {
      tellReady = resolve;
    });
    const out = new LineSplitter((text) => {
      const ready = parseReadyLine(text);
      if (ready === null) line(label, text);
      else tellReady(ready);
    });
    const err = new LineSplitter((text) => line(label, text));
    this.#process.stdout?.on("data", (chunk) => out.push(chunk));
    this.#process.stderr?.on("data", (chunk) => err.push(chunk));
    this.exited = new Promise((resolve) => {
      const finish = (exit: ChildExit) => {
        if (this.#gone) return;
        this.#gone = true;
        out.end();
        err.end();
        tellReady(null);
        resolve(exit);
      };
      this.#process.on("error", (error) => {
        if (this.pid === null) finish({ pid: null, code: null, signal: null, error: error.message });
      });
      this.#process.on("close", (code, signal) => finish({ pid: this.pid, code, signal, error: null }));
    });
  }

  get isGone(): boolean {
    return this.#gone;
  }

  /** Sends a signal unless the process is gone. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#gone && this.pid !== null) this.#process.kill(signal);
  }
}

/** The environment without nswap's options: those given to the cluster are not those of its nodes. */
function withoutOptions(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("NSWAP_")));
}
