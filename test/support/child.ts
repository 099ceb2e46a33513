import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { identify, killIdentified, processTree } from "./proc.ts";
import { toolEnvironment } from "./tools.ts";

/** Output kept of a child; the oldest is dropped beyond it. */
const OUTPUT_CHARACTERS_MAX = 1 << 20;
const TERM_GRACE_MS = 5_000;

/** Children that have not been stopped; whatever ends this process ends them too. */
const running = new Set<Child>();
process.on("exit", () => {
  for (const child of running) child.killNow();
});

/** A long-running child process: its output, its process tree, and an end that leaves nothing behind. */
export class Child {
  readonly title: string;
  stdout = "";
  stderr = "";
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.title = [command, ...args].join(" ");
    this.#process = spawn(command, args, {
      env: { ...toolEnvironment, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this);
    this.#ended = new Promise((resolve) => {
      this.#process.once("close", () => resolve());
      this.#process.once("error", (error) => {
        this.stderr += String(error);
        resolve();
      });
    });
    this.#process.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.stdout = (this.stdout + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
    this.#process.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get isRunning(): boolean {
    return (
      this.#process.pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
    );
  }

  /** The child and all its descendants, by process id. */
  pids(): number[] {
    return this.isRunning ? processTree(this.pid) : [];
  }

  /** Polls until `ready` gives a value. Throws, with what the child said, when it ends or time runs out. */
  async until<T>(
    what: string,
    ready: () => T | undefined | Promise<T | undefined>,
    timeoutMs = 20_000,
    intervalMs = 20,
  ): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const value = await ready();
      if (value !== undefined) return value;
      if (!this.isRunning)
        throw new Error(`${this.title}: ended before ${what}\n${this.stdout}${this.stderr}`);
      if (Date.now() > deadline) {
        throw new Error(`${this.title}: no ${what} within ${timeoutMs} ms\n${this.stdout}${this.stderr}`);
      }
      await sleep(intervalMs);
    }
  }

  /** SIGTERM, then SIGKILL for the child and its descendants that are still there after a grace time. */
  async stop(): Promise<void> {
    const tree = this.pids().flatMap((pid) => identify(pid) ?? []);
    if (this.isRunning) {
      this.#process.kill("SIGTERM");
      await Promise.race([this.#ended, sleep(TERM_GRACE_MS, undefined, { ref: false })]);
    }
    tree.forEach(killIdentified);
    await this.#ended;
    running.delete(this);
  }

  /** SIGKILL to the child and its descendants, at once. */
  killNow(): void {
    this.pids()
      .flatMap((pid) => identify(pid) ?? [])
      .forEach(killIdentified);
    running.delete(this);
  }
}

/** What a tool that has ended left behind. */
export interface ToolResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a tool to its end. Rejects only when it cannot be started or outlives `timeoutMs` (it is then killed). */
export async function runTool(
  command: string,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<ToolResult> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const child = spawn(command, args, { env: { ...toolEnvironment, ...options.env }, stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-OUTPUT_CHARACTERS_MAX);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-OUTPUT_CHARACTERS_MAX);
  });
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const killOnExit = () => child.kill("SIGKILL");
  process.on("exit", killOnExit);
  try {
    const [status, signal] = (await once(child, "close")) as [number | null, string | null];
    if (signal === "SIGKILL") {
      throw new Error(`${command} ${args.join(" ")}: killed after ${timeoutMs} ms\n${stdout}${stderr}`);
    }
    return { status, stdout, stderr };
  } finally {
    clearTimeout(timer);
    process.off("exit", killOnExit);
  }
}
