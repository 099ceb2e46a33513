import { afterEach, describe, expect, it } from "vitest";
import { formatHostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { main } from "../../../src/cli/main.ts";
import { redraw, renderStatus } from "../../../src/cli/status-view.ts";
import { ControlClient } from "../../../src/io/control/control-client.ts";
import { parseStatusDocument, type StatusDocument } from "../../../src/membership/status-document.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { FakeHost } from "./fake-host.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startNode(): Promise<{ control: string; plane: ControlPlane }> {
  let used = 0;
  const plane = await ControlPlane.start({
    ...{
      listen: { host: "127.0.0.1", port: 0 },
      seeds: [],
      name: "s1",
      role: "server",
      identity: newIdentity(),
    },
    self: () => ({ data: "127.0.0.1:7", frames: { used: used++, free: 100, limit: 65536 }, draining: false }),
    log: silentLog,
    port: { nodeUp() {}, nodeChanged() {}, nodeGone() {} },
  });
  cleanups.push(() => plane.close());
  return { control: formatHostPort(plane.address), plane };
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 30_000) throw new Error("never came about");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("nswap status", () => {
  it("prints JSON with exactly the fields of CLI.md", async () => {
    const { control } = await startNode();
    const host = new FakeHost();
    expect(await main(["status", "--control", control, "--json"], host)).toBe(0);
    const document = JSON.parse(host.out);
    expect(document).toEqual(parseStatusDocument(document));
    expect(Object.keys(document)).toEqual(["self", "nodes", "clients"]);
    const fields = ["name", "role", "state", "pid", "data", "control", "frames"];
    expect(Object.keys(document.nodes[0])).toEqual(fields);
    expect(Object.keys(document.nodes[0].frames)).toEqual(["used", "free", "limit"]);
  });

  it("prints a table for people", async () => {
    const { control } = await startNode();
    const host = new FakeHost({ NSWAP_CONTROL: control });
    expect(await main(["status"], host)).toBe(0);
    expect(host.out).toMatch(/^As s1 sees it: 1 node, 1 up; .* of 256 MiB lent\n\nNODE /);
    expect(host.out).toContain(`s1    server  up     ${process.pid}`);
  });

  it("keeps watching, in place on a terminal, and ends on a signal", async () => {
    const { control } = await startNode();
    const host = new FakeHost();
    host.size = { columns: 80, rows: 24 };
    const status = main(["status", "--control", control, "--watch"], host);
    await until(() => host.out.split("\x1b[H").length >= 3);
    host.emit("SIGINT");
    expect(await status).toBe(0);
    expect(host.out.startsWith("\x1b[?25l\x1b[2J\x1b[H")).toBe(true);
    expect(host.out.split("\x1b[2J")).toHaveLength(2);
    expect(host.out.endsWith("\x1b[?25h")).toBe(true);
    expect(host.listening).toBe(0);
  });

  it("says when the node it watches is gone, and tries again", async () => {
    const { control, plane } = await startNode();
    const host = new FakeHost();
    const status = main(["status", "--control", control, "--watch", "--json"], host);
    await until(() => host.out.includes("\n"));
    await plane.close();
    await until(() => host.err.includes("trying again"));
    host.emit("SIGTERM");
    expect(await status).toBe(0);
    for (const line of host.out.trim().split("\n")) JSON.parse(line);
  });
});

describe("a control address", () => {
  it.each(["300.1.1.1:7411", "1.2:7411", "[::::1]:7411"])(
    "is refused by name where it is none: %s",
    async (text) => {
      for (const command of ["status", "scrub"]) {
        const host = new FakeHost();
        expect(await main([command, "--control", text], host)).toBe(1);
        expect(host.err).toBe(
          `nswap: --control: "${text}" is not an address; accepted: HOST:PORT or [IPV6]:PORT, port 0 to 65535\n`,
        );
      }
    },
  );

  it("may have a zone, as link-local ones have", async () => {
    const plane = await ControlPlane.start({
      ...{ listen: { host: "::1", port: 0 }, seeds: [], name: "s6", role: "server", log: silentLog },
      identity: newIdentity(),
      self: () => ({ data: "[::1]:7", frames: { used: 0, free: 1, limit: 1 }, draining: false }),
      port: { nodeUp() {}, nodeChanged() {}, nodeGone() {} },
    });
    cleanups.push(() => plane.close());
    const host = new FakeHost();
    const status = await main(["status", "--control", `[::1%lo]:${plane.address.port}`], host);
    expect({ status, err: host.err }).toEqual({ status: 0, err: "" });
    const none = new FakeHost();
    expect(await main(["status", "--control", `[fe80::1%none0]:${plane.address.port}`], none)).toBe(1);
    expect(none.err).toMatch(/^nswap status: --control \[fe80::1%none0\]:[0-9]+: cannot be reached/);
  });

  it("that no URL can carry fails as one that cannot be reached", async () => {
    const connecting = ControlClient.connect({ host: "a b", port: 1 }, { key: null, purpose: "operator" });
    await expect(connecting).rejects.toMatchObject({ code: "UNREACHABLE" });
  });
});

describe("the view of a status", () => {
  const document: StatusDocument = {
    self: "s1",
    nodes: [
      {
        ...{ name: "s1", role: "server", state: "up", pid: 1, data: "a:1", control: "a:2" },
        frames: { used: 1, free: 255, limit: 256 },
      },
      {
        ...{ name: "server-two", role: "server", state: "down", pid: 22, data: "b:1", control: "b:2" },
        frames: { used: 256, free: 0, limit: 256 },
      },
      {
        ...{ name: "c", role: "client", state: "draining", pid: 3, data: null, control: "c:2" },
        frames: { used: 0, free: 0, limit: 0 },
      },
    ],
    clients: [
      {
        ...{ name: "c", redundancy: "none", sizeBytes: 1024 ** 3 },
        slots: { mapped: 11, sameFilled: 12, onDisk: 13 },
        pages: { live: 14, dead: 15, unprotected: 16, lost: 17 },
        requests: { inFlight: 18, errors: 19 },
        traffic: { pagesOut: 10, pagesIn: 11, messagesSent: 12, messagesAsking: 13, bytesSent: 14 },
        recovery: { state: "idle", done: 0, total: 0 },
        links: { servers: 20, parity: 21 },
        suspects: [],
        roomNeeded: { servers: 0, parity: 0 },
      },
    ],
  };

  it("aligns its columns, and marks a little as more than nothing", () => {
    expect(renderStatus(document)).toEqual([
      "As s1 sees it: 3 nodes, 2 up; 4 KiB used of 1 MiB lent",
      "",
      "NODE        ROLE    STATE     PID  DATA  CONTROL  USED                          FREE  LIMIT",
      "s1          server  up        1    a:1   a:2      [#.........] 4 KiB  0%    1020 KiB  1 MiB",
      "server-two  server  down      22   b:1   b:2      [##########] 1 MiB  100%       0 B  1 MiB",
      "c           client  draining  3    -     c:2      -                                -      -",
      "",
      "CLIENT  REDUNDANCY   SIZE  MAPPED  SAME-FILLED  ON DISK  LIVE  DEAD  UNPROTECTED  LOST  IN FLIGHT  ERRORS",
      "c       none        1 GiB      11           12       13    14    15           16    17         18      19",
    ]);
  });

  it("shows how far a recovery is, and what a parity server has found", () => {
    const [client] = document.clients;
    const lines = renderStatus({
      ...document,
      nodes: [
        {
          ...{ name: "p", role: "parity", state: "up", pid: 4, data: "p:1", control: "p:2" },
          frames: { used: 1, free: 255, limit: 256 },
          scrub: {
            ...{ state: "running", done: 1, total: 4, scrubbed: 9, skipped: 2, unreachable: 0 },
            ...{ mismatches: 1, passes: 1 },
          },
        },
      ],
      clients: [{ ...client, recovery: { state: "rebuilding", done: 120, total: 480 } }],
    });
    expect(lines.slice(-2)).toEqual([
      "c: rebuilding, 120 of 480 pages [###.......] 25%",
      "p: scrubbing, 1 of 4 frames [###.......] 25%; 1 pass, 9 groups compared, 2 skipped, 1 mismatch",
    ]);
  });

  it("says where the servers that are up lend less than the devices need", () => {
    const [client] = document.clients;
    const needs = (servers: number, parity: number) =>
      renderStatus({ ...document, clients: [{ ...client, roomNeeded: { servers, parity } }] }).at(-1);
    expect(needs(256, 0)).toMatch(/^c +none/);
    const servers = "the devices need up to 1.0 MiB of memory servers, which lend 1 MiB: ";
    expect(needs(257, 0)).toBe(`${servers}when all of it is in use, writers wait`);
    const parity = "the devices need up to 2 MiB of parity servers, which lend 0 B: ";
    expect(needs(0, 512)).toBe(`${parity}when all of it is in use, pages are left unprotected`);
  });

  it("fits a small terminal", () => {
    const drawn = redraw(renderStatus(document), { columns: 20, rows: 5 });
    const lines = drawn
      .replaceAll("\x1b[H", "")
      .replaceAll("\x1b[K", "")
      .replaceAll("\x1b[J", "")
      .split("\n");
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(20);
  });
});
