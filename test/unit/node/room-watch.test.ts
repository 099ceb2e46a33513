import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import type { ClientFigures } from "../../../src/membership/node-record.ts";
import type { StatusDocument, StatusNode } from "../../../src/membership/status-document.ts";
import { RoomWatch } from "../../../src/node/room-watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function node(role: StatusNode["role"], limit: number, state: StatusNode["state"] = "up"): StatusNode {
  const frames = { used: 0, free: limit, limit };
  return { name: role, role, state, pid: 1, data: "a:1", control: "a:2", frames };
}

it("a device larger than the servers' room is warned of once, and again when it comes about again", () => {
  const said: string[] = [];
  const log = {
    ...silentLog,
    warn: (text: string, fields?: object) => said.push(`${text} ${JSON.stringify(fields)}`),
    info: (text: string) => said.push(text),
  };
  const client = { roomNeeded: { servers: 1024, parity: 256 } } as ClientFigures;
  let nodes: StatusNode[] = [];
  const watch = new RoomWatch(() => ({ self: "c", nodes, clients: [client] }) as StatusDocument, log);
  vi.advanceTimersByTime(2_000);
  expect(said).toEqual([]);
  nodes = [node("server", 512), node("server", 511), node("server", 999, "down"), node("parity", 256)];
  vi.advanceTimersByTime(60_000);
  expect(said.splice(0)).toEqual([
    expect.stringMatching(/^memory servers lend less .* writers wait {"neededMiB":4,"lentMiB":3}$/),
  ]);
  nodes = [node("server", 1024), node("parity", 256)];
  vi.advanceTimersByTime(60_000);
  expect(said.splice(0)).toEqual(["memory servers lend as much as the devices need"]);
  nodes = [node("server", 1023), node("parity", 0)];
  vi.advanceTimersByTime(60_000);
  expect(said.splice(0)).toEqual([
    expect.stringContaining("writers wait"),
    expect.stringContaining("pages are unprotected"),
  ]);
  watch.stop();
  nodes = [];
  vi.advanceTimersByTime(60_000);
  expect(said).toEqual([]);
});
