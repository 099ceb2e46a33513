import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { insidePath } from "../../system/guest/root.ts";

const PAGES = 2000;

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs the load; `whenHeld` is called with its process id once it holds its memory. */
function load(args: readonly string[], whenHeld?: (pid: number) => void): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn("perl", [insidePath("load.pl"), ...args]);
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!output.includes("holding") || !whenHeld) return;
      whenHeld(child.pid!);
      whenHeld = undefined;
      child.kill("SIGUSR1");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", (status) => resolve({ status, output }));
  });
}

/** Changes one byte in the largest anonymous mapping of a process: what a wrong page in swap would do. */
function spoilMemory(pid: number): void {
  const mappings = readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .map((line) => line.match(/^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0\s*$/))
    .filter((match) => match !== null)
    .map((match) => ({ start: Number.parseInt(match[1]!, 16), end: Number.parseInt(match[2]!, 16) }));
  const largest = mappings.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a));
  const memory = openSync(`/proc/${pid}/mem`, "r+");
  writeSync(memory, Buffer.from([0xff, 0x00, 0xff]), 0, 3, largest.start + (PAGES / 2) * 4096 + 1111);
  closeSync(memory);
}

describe("the load that checks its content", () => {
  test("held memory that is untouched is right", async () => {
    const { status, output } = await load(["hold", "--bytes", String(PAGES * 4096)], () => undefined);
    expect(output).toContain(`pages=${PAGES} reads=${PAGES}`);
    expect(output).toContain("aligned=yes");
    expect(status).toBe(0);
  });

  test("three changed bytes in held memory are found, and named", async () => {
    const { status, output } = await load(["hold", "--bytes", String(PAGES * 4096)], spoilMemory);
    expect(output).toContain("load: WRONG page=");
    expect(output).toContain("wrong=1");
    expect(status).toBe(2);
  });

  test("random access reads and writes, and checks every page at the end", async () => {
    const { status, output } = await load(["random", "--bytes", String(PAGES * 4096), "--seconds", "1"]);
    const reads = Number(output.match(/reads=(\d+)/)?.[1]);
    expect(reads).toBeGreaterThan(PAGES);
    expect(status).toBe(0);
  });

  test.each([["nonsense"], ["hold", "--bytes", "12x"], ["hold", "--bytes", "1"], ["random", "--size", "9"]])(
    "refuses %s %s %s",
    async (...args) => {
      const { status, output } = await load(args.filter((word) => word !== undefined));
      expect(output).toContain("usage:");
      expect(status).toBe(1);
    },
  );
});
