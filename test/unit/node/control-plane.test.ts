import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type ControlTiming, controlLimits, controlTiming } from "../../../src/base/control-limits.ts";
import { formatHostPort, type HostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { ClusterKey } from "../../../src/io/cluster-key.ts";
import { ControlClient } from "../../../src/io/control/control-client.ts";
import { packPlain } from "../../../src/io/control/plain-msgpack.ts";
import type { StatusDocument } from "../../../src/membership/status-document.ts";
import { ControlPlane, type ControlPlaneOptions, newIdentity } from "../../../src/node/control-plane.ts";
import { StatusClient } from "../../../src/node/status-client.ts";
import { RecordingPort, recordOf } from "../membership/records.ts";

const keyA = ClusterKey.fromBytes(Buffer.from("the first cluster key"));
const keyB = ClusterKey.fromBytes(Buffer.from("the second cluster key"));
const anyPort = { host: "127.0.0.1", port: 0 };
const fast: Partial<ControlTiming> = { heartbeatMs: 40, backoffMsMax: 200, handshakeMs: 1_000 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Given = Partial<ControlPlaneOptions> & { name: string };

async function start(given: Given): Promise<{ plane: ControlPlane; port: RecordingPort }> {
  const port = new RecordingPort();
  const plane = await ControlPlane.start({
    listen: anyPort,
    seeds: [],
    self: () => ({ data: "127.0.0.1:7410", frames: { used: 1, free: 2, limit: 3 }, draining: false }),
    role: "server",
    identity: newIdentity(),
    log: silentLog,
    port,
    timing: fast,
    ...given,
  });
  cleanups.push(() => plane.close());
  return { plane, port };
}

async function client(address: HostPort, key: ClusterKey | null): Promise<StatusClient> {
  const connected = await StatusClient.connect(address, key);
  cleanups.push(() => connected.close());
  return connected;
}

/** Waits for a condition, as long as a slow machine may need. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 30_000) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const namesSeen = (plane: ControlPlane, state = "up") =>
  plane
    .status()
    .nodes.filter((node) => node.state === state)
    .map((node) => node.name)
    .sort();

describe("the key of a control port", () => {
  it.each<[string, ClusterKey | undefined, ClusterKey | null]>([
    ["none on both sides", undefined, null],
    ["the same on both sides", keyA, keyA],
  ])("%s: answers", async (_, ours, theirs) => {
    const { plane } = await start({ name: "a", ...(ours ? { key: ours } : {}) });
    expect((await (await client(plane.address, theirs)).status()).self).toBe("a");
  });

  it.each<[string, ClusterKey | undefined, ClusterKey | null, string]>([
    ["wrong", keyA, keyB, "KEY_WRONG"],
    ["absent at the asking side", keyA, null, "KEY_REQUIRED"],
    ["absent at the node", undefined, keyA, "KEY_NOT_EXPECTED"],
  ])("%s: refused by name", async (_, ours, theirs, code) => {
    const { plane } = await start({ name: "a", ...(ours ? { key: ours } : {}) });
    await expect(client(plane.address, theirs)).rejects.toMatchObject({ code, retry: false });
  });

  it("is proved by the node too: one that plays our proof back is found out", async () => {
    const sockets = new WebSocketServer({ noServer: true });
    const http = createServer();
    http.on("upgrade", (request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on("message", (data) => webSocket.send(data));
      });
    });
    await new Promise<void>((resolve) => http.listen(anyPort.port, anyPort.host, resolve));
    cleanups.push(() => {
      sockets.close();
      http.closeAllConnections();
      http.close();
    });
    const port = (http.address() as { port: number }).port;
    await expect(client({ host: "127.0.0.1", port }, keyA)).rejects.toMatchObject({ code: "KEY_WRONG" });
  });

  it("is proved before anything else is read", async () => {
    const { plane } = await start({ name: "a", key: keyA });
    const closed = await closeOf(plane.address, [packPlain({ t: "status", id: 1 })]);
    expect(closed.code).toBe(4400);
    expect(closed.messages).toBe(0);
  });

  it("does not let a recorded handshake in again", async () => {
    const { plane } = await start({ name: "a", key: keyA });
    const recorded: Buffer[] = [];
    const original = WebSocket.prototype.send;
    WebSocket.prototype.send = function (this: WebSocket, data: never, ...rest: never[]) {
      recorded.push(Buffer.from(data as Uint8Array));
      return (original as (...all: unknown[]) => void).call(this, data, ...rest);
    } as typeof original;
    try {
      await client(plane.address, keyA);
    } finally {
      WebSocket.prototype.send = original;
    }
    const proof = recorded.filter((data) => data.length === 32)[0];
    const closed = await closeOf(plane.address, [recorded[0], proof]);
    expect(closed.code).toBe(4403);
  });

  it("keeps nodes with other keys out of the table", async () => {
    const a = await start({ name: "a", key: keyA });
    const b = await start({ name: "b", key: keyB, seeds: [a.plane.address] });
    const c = await start({ name: "c", seeds: [a.plane.address] });
    const d = await start({ name: "d", key: keyA, seeds: [a.plane.address] });
    await until(() => namesSeen(a.plane).includes("d"), "a sees d");
    expect(namesSeen(a.plane)).toEqual(["a", "d"]);
    expect(namesSeen(b.plane)).toEqual(["b"]);
    expect(namesSeen(c.plane)).toEqual(["c"]);
    await until(() => d.port.events.length > 0, "d sees a");
    expect(d.port.events).toEqual(["up a"]);
  });
});

/** Opens a WebSocket, sends the messages in a row, waits for the end. */
function closeOf(address: HostPort, send: readonly Uint8Array[], path = "/control") {
  return new Promise<{ code: number; messages: number }>((resolve, reject) => {
    const socket = new WebSocket(`ws://${formatHostPort(address)}${path}`, { perMessageDeflate: false });
    let messages = 0;
    socket.on("open", () => {
      for (const data of send) socket.send(data);
    });
    socket.on("message", () => messages++);
    socket.on("close", (code) => resolve({ code, messages }));
    socket.on("error", reject);
  });
}

describe("what comes to a control port uninvited", () => {
  const hello = Buffer.concat([Buffer.from("NSWC"), Buffer.from([1, 0, 2, 0]), randomBytes(32)]);

  it.each<[string, Uint8Array[], number]>([
    ["random bytes in a WebSocket", [randomBytes(40)], 4400],
    ["an empty message", [new Uint8Array(0)], 4400],
    [
      "another version",
      [Buffer.concat([Buffer.from("NSWC"), Buffer.from([2, 0, 1, 0]), randomBytes(32)])],
      4426,
    ],
    ["a longer hello of another version", [Buffer.concat([Buffer.from("NSWC"), Buffer.alloc(60, 2)])], 4426],
    [
      "an unknown purpose",
      [Buffer.concat([Buffer.from("NSWC"), Buffer.from([1, 0, 9, 0]), randomBytes(32)])],
      4400,
    ],
    ["random bytes after the handshake", [hello, Buffer.from([0xc1, 1, 2])], 4400],
    ["a list that claims 4 billion entries", [hello, Buffer.from([0xdd, 255, 255, 255, 255])], 4400],
    ["lists nested without end", [hello, Buffer.alloc(100_000, 0x91)], 4400],
    ["an extension type", [hello, Buffer.from([0xd4, 0x72, 0x40])], 4400],
    ["an unknown kind", [hello, packPlain({ t: "reboot", id: 1 })], 4400],
    ["no id", [hello, packPlain({ t: "status" })], 4400],
    ["a watch that is too fast", [hello, packPlain({ t: "subscribe", id: 1, everyMs: 1 })], 4400],
    [
      "gossip from an operator",
      [hello, packPlain({ t: "gossip", id: 1, from: newIdentity(), nodes: [] })],
      4400,
    ],
    ["an oversized message", [hello, Buffer.alloc(controlLimits.messageBytesMax + 1)], 1009],
    ["an oversized first message", [Buffer.alloc(controlLimits.messageBytesMax + 1)], 1009],
  ])("%s: is refused, others are served", async (_, messages, code) => {
    const { plane } = await start({ name: "a" });
    expect((await closeOf(plane.address, messages)).code).toBe(code);
    expect((await (await client(plane.address, null)).status()).self).toBe("a");
  });

  it("refuses random bytes in place of HTTP", async () => {
    const { plane } = await start({ name: "a" });
    const answer = await rawAnswer(plane.address, randomBytes(4096));
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await (await client(plane.address, null)).status()).self).toBe("a");
  });

  it("refuses headers without end", async () => {
    const { plane } = await start({ name: "a" });
    const answer = await rawAnswer(plane.address, Buffer.from(`GET / HTTP/1.1\r\nX: ${"y".repeat(100_000)}`));
    expect(answer).toMatch(/^HTTP\/1\.1 4[03][01] /);
  });

  it("cuts off who sends its headers drop by drop, or no handshake", async () => {
    const { plane } = await start({ name: "a", timing: { ...fast, handshakeMs: 200 } });
    const slow = await rawAnswer(plane.address, Buffer.from("GET / HTTP/1.1\r\nHost:"));
    expect(slow).toMatch(/^HTTP\/1\.1 408 /);
    expect((await closeOf(plane.address, [])).code).toBe(4408);
  });

  it("drops a peer that asks and never reads", async () => {
    const { plane } = await start({ name: "a" });
    const peer = await ControlClient.connect(plane.address, { key: null, purpose: "peer" });
    cleanups.push(() => peer.close());
    await peer.gossip(
      newIdentity(),
      Array.from({ length: 200 }, (_, n) => recordOf(n)),
    );
    const raw = await openRaw(plane.address);
    raw.pause();
    const ask = frame(packPlain({ t: "status", id: 1 }));
    const begun = performance.now();
    // Writing into a connection that the other side has reset fails; until then it is held open by us.
    await until(() => {
      for (let i = 0; i < 50 && raw.writable; i++) raw.write(ask);
      return !raw.writable;
    }, "the connection ended");
    expect(performance.now() - begun).toBeLessThan(controlTiming.idleMs);
    expect((await (await client(plane.address, null)).status()).self).toBe("a");
  });

  it("refuses web pages of other origins and foreign host names", async () => {
    const { plane } = await start({ name: "a" });
    const { port } = plane.address;
    const get = (headers: string) =>
      rawAnswer(plane.address, Buffer.from(`GET /status HTTP/1.1\r\n${headers}\r\n\r\n`));
    expect(await get(`Host: 127.0.0.1:${port}`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get(`Host: localhost:${port}`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get(`Host: evil.example:${port}`)).toMatch(/^HTTP\/1\.1 403 /);
    expect(await get(`Host: 127.0.0.1:${port}\r\nOrigin: http://evil.example`)).toMatch(/^HTTP\/1\.1 403 /);
    const upgrade =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`;
    expect(
      await rawAnswer(
        plane.address,
        Buffer.from(
          `GET /control HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://evil.example\r\n${upgrade}\r\n\r\n`,
        ),
      ),
    ).toMatch(/^HTTP\/1\.1 403 /);
  });
});

/** A masked client frame, as a WebSocket client sends it. */
function frame(payload: Uint8Array): Buffer {
  const mask = Buffer.alloc(4);
  return Buffer.concat([Buffer.from([0x82, 0x80 | payload.length]), mask, payload]);
}

/** A TCP connection on which the WebSocket upgrade and a key-less handshake are done. */
async function openRaw(address: HostPort): Promise<Socket> {
  const socket = connect(address.port, address.host);
  cleanups.push(() => socket.destroy());
  const lines = [
    "GET /control HTTP/1.1",
    `Host: ${formatHostPort(address)}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  socket.write(frame(Buffer.concat([Buffer.from("NSWC"), Buffer.from([1, 0, 2, 0]), randomBytes(32)])));
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("data", resolve));
  return socket;
}

/** All that comes back on a plain connection after the bytes were sent. */
function rawAnswer(address: HostPort, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(address.port, address.host, () => socket.write(bytes));
    let answer = "";
    socket.on("data", (data) => {
      answer += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}

describe("HTTP on a control port", () => {
  const get = async (address: HostPort, path: string, method = "GET") => {
    const response = await fetch(`http://${formatHostPort(address)}${path}`, { method });
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      body: await response.text(),
    };
  };

  it("shows metrics and status on a node without a key", async () => {
    const { plane } = await start({ name: "a" });
    const metrics = await get(plane.address, "/metrics");
    expect(metrics).toMatchObject({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8" });
    expect(metrics.body).toContain('nswap_node_up{node="a",role="server"');
    const status = await get(plane.address, "/status");
    expect(JSON.parse(status.body)).toEqual(plane.status());
    expect((await get(plane.address, "/nothing")).status).toBe(404);
    expect((await get(plane.address, "/status", "POST")).status).toBe(405);
  });

  it("is refused on a node with a key, with the reason", async () => {
    const { plane } = await start({ name: "a", key: keyA });
    for (const path of ["/metrics", "/status", "/"]) {
      const answer = await get(plane.address, path);
      expect(answer.status).toBe(401);
      expect(answer.body).toContain("--key-file");
    }
  });
});

describe("a cluster of control planes", () => {
  it("converges from one seed, tells figures, and sees a node leave", async () => {
    const first = await start({ name: "n1", key: keyA });
    const others = [];
    for (const name of ["n2", "n3", "n4", "n5"]) {
      others.push(await start({ name, key: keyA, seeds: [first.plane.address] }));
    }
    const all = [first, ...others];
    const everyone = ["n1", "n2", "n3", "n4", "n5"];
    await until(() => all.every((node) => namesSeen(node.plane).length === 5), "all see all");
    for (const node of all) expect(namesSeen(node.plane)).toEqual(everyone);
    for (const node of all)
      expect(node.port.take().filter((event) => event.startsWith("up"))).toHaveLength(4);

    await others[3].plane.leave();
    await until(() => all.slice(0, 4).every((node) => namesSeen(node.plane).length === 4), "n5 is gone");
    for (const node of all.slice(0, 4)) expect(node.port.events).toContain("gone n5 left");
  });

  it("waits for a seed that comes later, and for one that comes back", async () => {
    const probe = await start({ name: "probe" });
    const seedAddress = probe.plane.address;
    await probe.plane.close();
    const b = await start({ name: "b", seeds: [seedAddress] });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(namesSeen(b.plane)).toEqual(["b"]);
    const a = await start({ name: "a", listen: seedAddress });
    await until(() => namesSeen(a.plane).length === 2 && namesSeen(b.plane).length === 2, "a and b meet");
    await a.plane.close();
    const again = await start({ name: "a", listen: seedAddress, generation: Date.now() + 1 });
    await until(() => namesSeen(again.plane).length === 2, "the restarted seed is found again");
    await until(() => b.port.events.includes("gone a superseded"), "the predecessor is superseded");
    expect(b.port.events.filter((event) => event !== "changed a")).toEqual([
      "up a",
      "gone a superseded",
      "up a",
    ]);
  });

  it("marks a node that dies as down", async () => {
    const timing = { ...fast, suspectMs: 400, downMs: 1_200 };
    const a = await start({ name: "a", timing });
    const b = await start({ name: "b", timing, seeds: [a.plane.address] });
    await until(() => namesSeen(a.plane).length === 2, "a sees b");
    await b.plane.close();
    await until(() => namesSeen(a.plane, "down").length === 1, "b is down");
    expect(a.port.take().filter((event) => event !== "changed b")).toEqual(["up b", "gone b down"]);
  });

  it("gives up the connections of an address that it has no more, and tells others of the new one", async () => {
    const b = await start({ name: "b" });
    let ended = 0;
    const way = createTcpServer((socket) => {
      const onward = connect(b.plane.address);
      socket.pipe(onward).pipe(socket);
      socket.on("close", () => {
        ended += 1;
        onward.destroy();
      });
      for (const end of [socket, onward]) end.on("error", () => {});
    });
    await new Promise<void>((done) => way.listen(0, anyPort.host, done));
    cleanups.push(() => way.close());
    const { port } = way.address() as { port: number };
    let data = "10.0.0.1:7410";
    const self = () => ({ data, frames: { used: 1, free: 2, limit: 3 }, draining: false });
    await start({ name: "a", seeds: [{ host: anyPort.host, port }], self });
    const told = () => b.plane.status().nodes.find((node) => node.name === "a")?.data;
    await until(() => told() === data, "b has heard of a");
    expect(ended).toBe(0);
    data = "10.0.0.2:7410";
    const changedAtMs = performance.now();
    await until(() => told() === data, "b has heard of a's new address");
    await until(() => ended === 1, "the old connection is given up");
    expect(performance.now() - changedAtMs).toBeLessThan(controlTiming.idleMs / 2);
  });

  it("does not stumble over itself among its seeds", async () => {
    const a = await start({ name: "a" });
    const b = await start({ name: "b", seeds: [a.plane.address] });
    const self = await start({ name: "c", listen: anyPort, seeds: [a.plane.address, b.plane.address] });
    await until(() => namesSeen(self.plane).length === 3, "c sees all");
    expect(namesSeen(self.plane)).toEqual(["a", "b", "c"]);
  });

  it("reports itself, with the client's figures, as CLI.md lays down", async () => {
    const figures = {
      name: "c",
      redundancy: "none" as const,
      sizeBytes: 4096,
      slots: { mapped: 1, sameFilled: 2, onDisk: 3 },
      pages: { live: 4, dead: 5, unprotected: 6, lost: 7 },
      requests: { inFlight: 8, errors: 9 },
      traffic: { pagesOut: 10, pagesIn: 11, messagesSent: 12, messagesAsking: 13, bytesSent: 14 },
      recovery: { state: "reprotecting" as const, done: 15, total: 16 },
      links: { servers: 17, parity: 18 },
      suspects: ["s"],
      roomNeeded: { servers: 19, parity: 20 },
    };
    const frames = { used: 0, free: 0, limit: 0 };
    const server = await start({ name: "s" });
    const self = () => ({ data: null, frames, draining: true, client: figures });
    await start({ name: "c", role: "client", seeds: [server.plane.address], self });
    const asked = await client(server.plane.address, null);
    let document = await asked.status();
    await until(() => server.plane.status().nodes.length === 2, "the server sees the client");
    document = await asked.status();
    expect(Object.keys(document).sort()).toEqual(["clients", "nodes", "self"]);
    expect(document.self).toBe("s");
    expect(document.clients).toEqual([figures]);
    expect(document.nodes[0].state).toBe("suspect");
    const { control, ...node } = document.nodes[1];
    expect(node).toEqual({
      name: "c",
      role: "client",
      state: "draining",
      pid: process.pid,
      data: null,
      frames,
    });
    expect(control).toMatch(/^127\.0\.0\.1:[0-9]+$/);
  });

  it("shows what a parity server has checked, its own and that of others", async () => {
    const scrub = {
      ...{ state: "running" as const, done: 1, total: 2 },
      ...{ scrubbed: 3, skipped: 4, unreachable: 1, mismatches: 5, passes: 6 },
    };
    const frames = { used: 1, free: 2, limit: 3 };
    const self = () => ({ data: "127.0.0.1:1", frames, draining: false, scrub });
    const parity = await start({ name: "p", role: "parity", self });
    const server = await start({ name: "s", seeds: [parity.plane.address] });
    await until(() => server.plane.status().nodes.length === 2, "the server sees the parity server");
    for (const { plane } of [parity, server]) {
      const { nodes } = await (await client(plane.address, null)).status();
      expect(nodes.find((node) => node.name === "p")).toMatchObject({ role: "parity", frames, scrub });
      expect(nodes.find((node) => node.name === "s")).not.toHaveProperty("scrub");
    }
  });

  it("sends the status again and again to who subscribes", async () => {
    let used = 0;
    const self = () => ({ data: null, frames: { used: used++, free: 0, limit: 0 }, draining: false });
    const { plane } = await start({ name: "a", self });
    const asked = await client(plane.address, null);
    const updates: StatusDocument[] = [];
    asked.subscribe(50, (document) => updates.push(document));
    await until(() => updates.length >= 3, "three updates");
    expect(updates[2].nodes[0].frames.used).toBeGreaterThan(updates[0].nodes[0].frames.used);
  });

  it("says which address is taken", async () => {
    const { plane } = await start({ name: "a" });
    await expect(start({ name: "b", listen: plane.address })).rejects.toMatchObject({
      ...{ code: "ADDRESS_IN_USE", option: "--control" },
    });
  });
});
