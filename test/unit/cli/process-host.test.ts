import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Compiled, compile } from "../support/compile.ts";

const talkerSource = "test/unit/cli/fixture-talker.ts";
/** More than a pipe and the ring take together. */
const many = 10_000;

let compiled: Compiled;
let folder: string;
beforeAll(() => {
  compiled = compile(talkerSource);
  folder = mkdtempSync(join(tmpdir(), "nswap-host-"));
}, 60_000);
afterAll(() => {
  compiled.remove();
  rmSync(folder, { recursive: true, force: true });
});

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A process that logs to what is given as its standard output and standard error. */
class Talker {
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(out: number | "ignore" | "pipe", err: number | "pipe", env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, ["--expose-gc", compiled.script(talkerSource)], {
      stdio: ["ignore", out, err, "ipc"],
      env: { ...process.env, ...env },
    });
    this.exited = once(this.process, "exit").then(([code, signal]) => ({ code, signal }));
    cleanups.push(() => this.process.kill("SIGKILL"));
  }

  /** Asks for something and waits for the answer, which a process that is blocked does not give. */
  async ask(what: object): Promise<{ heldBytes: number }> {
    const answer = once(this.process, "message", { signal: AbortSignal.timeout(20_000) });
    this.process.send(what);
    return (await answer)[0];
  }

  /** How it ended, having been asked to end. */
  async end(status: number) {
    await this.ask({ end: status });
    return Promise.race([this.exited, sleep(15_000, "still there", { ref: false })]);
  }
}

let fifos = 0;
/** A FIFO: its path, a descriptor to read from without blocking, one to write to. */
function newFifo() {
  const path = join(folder, `fifo-${fifos++}`);
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  cleanups.push(() => closeSync(writer));
  return { path, reader, writer };
}

/** Reads until `enough` holds of what has come. */
async function readUntil(fd: number, enough: (text: string) => boolean): Promise<string> {
  const chunks: Buffer[] = [];
  const buffer = Buffer.alloc(65_536);
  for (let waited = 0; waited < 20_000; waited += 10) {
    let count = 0;
    try {
      count = readSync(fd, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
    if (count > 0) chunks.push(Buffer.from(buffer.subarray(0, count)));
    else if (enough(Buffer.concat(chunks).toString())) break;
    else await sleep(10);
  }
  return Buffer.concat(chunks).toString();
}

interface Line {
  level: string;
  node: string;
  message: string;
  line?: number;
  count?: number;
}
const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** All that was logged is there in its order, or is said to have been dropped where it is missing. */
function expectComplete(text: string, logged: number): void {
  let next = 0;
  for (const { line, count } of linesOf(text)) {
    if (line !== undefined) expect(line).toBe(next);
    next += line === undefined ? count! : 1;
  }
  expect(next).toBe(logged);
}

const numbersOf = (text: string) => linesOf(text).flatMap(({ line }) => line ?? []);
const isAllThere = (logged: number) => (text: string) => {
  const lines = text.endsWith("\n") ? linesOf(text) : [];
  return lines.reduce((sum, { count }) => sum + (count ?? 1), 0) >= logged;
};

describe.each([
  ["opened once more", {}],
  ["that cannot be opened once more", { FIXTURE_NO_REOPEN: "1" }],
])("a pipe that nobody reads, %s", (_, env) => {
  it("does not stop a node nor fill its memory, and says later what was dropped", async () => {
    const { reader, writer } = newFifo();
    cleanups.push(() => closeSync(reader));
    const talker = new Talker("ignore", writer, env);
    const before = await talker.ask({ log: many });
    for (let i = 0; i < 9; i += 1) await talker.ask({ log: many });
    const { heldBytes } = await talker.ask({});
    expect(heldBytes - before.heldBytes).toBeLessThan(2 << 20);
    const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/${talker.process.pid}/fdinfo/2`, "utf8"));
    expect(Number.parseInt(flags![1]!, 8) & constants.O_NONBLOCK).toBe(0);
    const text = await readUntil(reader, isAllThere(10 * many));
    expectComplete(text, 10 * many);
    const dropped = linesOf(text).filter(({ count }) => count !== undefined);
    expect(dropped).toHaveLength(1);
    expect(dropped[0]).toMatchObject({ level: "warn", node: "talker" });
    await talker.ask({ log: 1 });
    expect(numbersOf(await readUntil(reader, isAllThere(1)))).toEqual([10 * many]);
  });

  it("does not keep a node from ending", async () => {
    for (const status of [0, 3]) {
      const { reader, writer } = newFifo();
      cleanups.push(() => closeSync(reader));
      const talker = new Talker(writer, writer, env);
      await talker.ask({ log: many });
      const signal = status === 0 ? "SIGTERM" : "SIGKILL";
      const forced = { code: null, signal };
      expect(await talker.end(status)).toEqual(
        "FIXTURE_NO_REOPEN" in env ? forced : { code: status, signal: null },
      );
    }
  });
});

it("a pipe whose reader goes away and comes back does not stop a node, and takes lines again", async () => {
  const { path, reader, writer } = newFifo();
  const talker = new Talker("ignore", writer);
  await talker.ask({ log: 1 });
  await readUntil(reader, isAllThere(1));
  closeSync(reader);
  await talker.ask({ log: 10 });
  await talker.ask({ log: 10 });
  const again = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  expect(numbersOf(await readUntil(again, isAllThere(20)))).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  closeSync(again);
  await talker.ask({ log: 1 });
  expect(await talker.end(0)).toEqual({ code: 0, signal: null });
});

it("a socket that nobody reads does not fill a node's memory, and says later what was dropped", async () => {
  const talker = new Talker("ignore", "pipe");
  for (let i = 0; i < 10; i += 1) await talker.ask({ log: many });
  let text = "";
  talker.process.stderr!.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  for (let waited = 0; waited < 20_000 && !isAllThere(10 * many)(text); waited += 50) await sleep(50);
  expectComplete(text, 10 * many);
  expect(numbersOf(text).length).toBeLessThan(many);
});

describe("a file", () => {
  const path = () => join(folder, "log");
  const fileTalker = () => {
    const fd = openSync(path(), "w");
    cleanups.push(() => closeSync(fd));
    return new Talker(fd, fd);
  };

  it("has all that was said before a node ended, in its order", async () => {
    const talker = fileTalker();
    await talker.ask({ log: 1_000 });
    await talker.ask({ log: 1_000, print: '{"line":2000}\n' });
    expect(await talker.end(0)).toEqual({ code: 0, signal: null });
    expectComplete(readFileSync(path(), "utf8"), 2_001);
  });

  it("has what was said just before a node failed", async () => {
    const talker = fileTalker();
    talker.process.send({ log: 1_000, crash: true });
    expect((await talker.exited).code).toBe(1);
    const text = readFileSync(path(), "utf8");
    const said = text.split("\n").filter((line) => line.startsWith("{"));
    expect(said.map((line) => JSON.parse(line).line).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    expect(text).toContain("as asked");
  });
});

it("what a command says before it ends is waited for, however late it is read", async () => {
  const { reader, writer } = newFifo();
  cleanups.push(() => closeSync(reader));
  const talker = new Talker("ignore", writer);
  const text = "nswap: no such thing\n".repeat(20_000);
  await talker.ask({ complain: text, end: 1 });
  await sleep(700);
  expect(await readUntil(reader, ({ length }) => length >= text.length)).toBe(text);
  expect(await talker.exited).toEqual({ code: 1, signal: null });
});
