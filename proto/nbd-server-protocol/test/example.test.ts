import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createConnection, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clientFlags, GREETING, go, header, join, type Piece, simple } from "./wire.ts";

const EXAMPLE = new URL("../examples/ram-disk.mjs", import.meta.url);
const folder = mkdtempSync(joinPath(tmpdir(), "nbd-example-"));
const path = joinPath(folder, "socket");
let server: Server;

beforeAll(async () => {
  const before = process.argv;
  process.argv = [before[0], "ram-disk.mjs", path, "8"];
  try {
    ({ server } = (await import(EXAMPLE.href)) as { server: Server });
  } finally {
    process.argv = before;
  }
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** Sends all of `pieces` and returns what came until the server hung up. */
function converse(...pieces: Piece[]): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection(path);
    socket.on("error", reject);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    socket.write(join(...pieces));
  });
}

test("the example of the README is the one that is tested here", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(readFileSync(EXAMPLE, "utf8").trim());
});

test("it serves over a real socket", async () => {
  const data = new Uint8Array(100_000).map((_, index) => index % 253);
  const write = join(header({ command: 1, cookie: 1, offset: 4096, length: data.length }), data);
  const read = header({ command: 0, cookie: 2, offset: 4096, length: data.length });
  const answer = await converse(clientFlags(), go("ram"), write, read, header({ command: 2 }));
  expect(Buffer.compare(answer.subarray(0, 18), GREETING)).toBe(0);
  const end = join(simple(0, 1), simple(0, 2, data));
  expect(Buffer.compare(answer.subarray(-end.length), end)).toBe(0);
});

test("a client that leaves with DISC and closes its sending side was hung up on, unanswered", async () => {
  const reads = Array.from({ length: 40 }, (_, cookie) =>
    header({ command: 0, cookie, length: 1024 * 1024 }),
  );
  const all = join(clientFlags(), go("ram"), ...reads, header({ command: 2 }));
  const answer = await new Promise<number>((resolve, reject) => {
    let count = 0;
    const socket = createConnection({ path, allowHalfOpen: true });
    socket.on("error", reject);
    socket.on("close", () => resolve(count));
    // Answers are fetched once the server has seen the end.
    socket.end(all, () =>
      setTimeout(() => {
        socket.on("data", (chunk) => {
          count += chunk.length;
        });
      }, 100),
    );
  });
  expect(answer).toBe(18 + 32 + 20 + 40 * (16 + 1024 * 1024));
});

test("a client that asks for far more than it fetches is made to wait, and gets it all", async () => {
  const reads = Array.from({ length: 40 }, (_, cookie) =>
    header({ command: 0, cookie, length: 1024 * 1024 }),
  );
  const answer = await converse(clientFlags(), go("ram"), ...reads, header({ command: 2 }));
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  const start = answer.length - 40 * (16 + 1024 * 1024);
  for (let cookie = 0; cookie < 40; cookie++) {
    expect(view.getUint32(start + cookie * (16 + 1024 * 1024) + 12)).toBe(cookie);
  }
});
