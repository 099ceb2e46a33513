import { expect, test } from "vitest";
import { bar, emptyPicture, frameLines, plainLine, rateOf } from "../../../scripts/demo.d/picture.ts";

const progress = (pagesOut: number, pagesIn: number) => ({
  memFreeKiB: 32 * 1024,
  memAvailableKiB: 0,
  swapUsedKiB: 100 * 1024,
  pagesOut,
  pagesIn,
});

const server = (name: string, used: number) => ({
  name,
  role: "server",
  state: "up",
  pid: 1,
  frames: { used, free: 1000 - used, limit: 1000 },
});

test("a bar is as long as the share held, never empty for a server that holds anything, never too long", () => {
  expect(bar(0, 1000)).toBe(".".repeat(32));
  expect(bar(1, 1000)).toBe(`#${".".repeat(31)}`);
  expect(bar(500, 1000)).toBe("#".repeat(16) + ".".repeat(16));
  expect(bar(2000, 1000)).toBe("#".repeat(32));
  expect(bar(0, 0)).toBe(".".repeat(32));
});

test("rates are pages a second between two readings, smoothed", () => {
  const picture = emptyPicture(256);
  rateOf(picture, progress(1000, 10), 1000);
  expect(picture.outPerSecond).toBe(0);
  rateOf(picture, progress(5000, 10), 3000);
  expect(picture.outPerSecond).toBe(1000);
  rateOf(picture, progress(5000, 10), 5000);
  expect(picture.outPerSecond).toBe(500);
});

test("the picture has a line for each memory server, and none for other nodes", () => {
  const picture = emptyPicture(256);
  rateOf(picture, progress(7, 3), 1000);
  picture.status = {
    nodes: [server("server-2", 20), server("server-1", 10), { ...server("gateway", 0), role: "client" }],
    clients: [],
  };
  const lines = frameLines(picture).filter((line) => line.includes("["));
  expect(lines.map((line) => line.trim().split(" ")[0])).toEqual(["server-1", "server-2"]);
  expect(plainLine(picture)).toContain("free=32MiB swap=100MiB out=7");
  expect(plainLine(picture)).toContain("held by servers: 10 20");
});

test("a server that was killed goes dark, and what is unprotected shows, with the work on it", () => {
  const picture = emptyPicture(256);
  const recovery = { state: "rebuilding", done: 10, total: 20 };
  const traffic = { pagesOut: 0, pagesIn: 0, messagesSent: 0, messagesAsking: 0, bytesSent: 0 };
  const pages = { live: 50, unprotected: 30, lost: 0 };
  picture.status = {
    nodes: [server("server-1", 10), { ...server("parity-1", 5), role: "parity" }],
    clients: [{ name: "c", pages, requests: { errors: 0 }, recovery, traffic }],
  };
  picture.killed.set("server-1", 10);
  const lines = frameLines(picture).join("\n");
  expect(lines).toMatch(/server-1 +\[ +killed +\] +10 pages went with it/);
  expect(lines).toMatch(/parity-1 +\[#+\.+\]/);
  expect(lines).toMatch(/unprotected +30 pages +rebuilding \[#{16}\.{16}\] +10 \/ 20/);
  expect(plainLine(picture)).toContain("held by servers: killed unprotected: 30");
});
