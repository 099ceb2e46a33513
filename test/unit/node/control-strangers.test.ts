import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { controlLimits } from "../../../src/base/control-limits.ts";
import { formatHostPort, type HostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { ClusterKey } from "../../../src/io/cluster-key.ts";
import { ControlClient } from "../../../src/io/control/control-client.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { RecordingPort } from "../membership/records.ts";

const clusterKey = ClusterKey.fromBytes(Buffer.from("the first cluster key"));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A node that has all the time in the world for a handshake. */
async function start(key?: ClusterKey): Promise<HostPort> {
  const plane = await ControlPlane.start({
    ...{ listen: { host: "127.0.0.1", port: 0 }, seeds: [], name: "a", role: "server", log: silentLog, key },
    self: () => ({ data: "127.0.0.1:7410", frames: { used: 0, free: 0, limit: 0 }, draining: false }),
    identity: newIdentity(),
    port: new RecordingPort(),
    timing: { handshakeMs: 30_000 },
  });
  cleanups.push(() => plane.close());
  return plane.address;
}

/** Whether the node lets somebody with the key in. */
async function letsIn(address: HostPort, key: ClusterKey | null = clusterKey): Promise<boolean> {
  const client = await ControlClient.connect(address, { key, purpose: "operator" });
  cleanups.push(() => client.close());
  return ((await client.status()) as { self: string }).self === "a";
}

const once = (emitter: NodeJS.EventEmitter, event: string) =>
  new Promise<void>((resolve) => emitter.once(event, () => resolve()));

describe("strangers, who never say who they are", () => {
  it("held all places for handshakes, so that no node with the key got in", async () => {
    const address = await start(clusterKey);
    const silent: WebSocket[] = [];
    cleanups.push(() => silent.forEach((socket) => void socket.terminate()));
    for (let i = 0; i < controlLimits.handshakesMax + 5; i++) {
      const socket = new WebSocket(`ws://${formatHostPort(address)}/control`);
      socket.on("error", () => {});
      silent.push(socket);
      await once(socket, "open");
    }
    expect(await letsIn(address)).toBe(true);
    const waiting = () => silent.filter(({ readyState }) => readyState === WebSocket.OPEN).length;
    for (let ms = 0; waiting() >= controlLimits.handshakesMax && ms < 5_000; ms += 10) await sleep(10);
    // The oldest made way, each for one that came after.
    expect(waiting()).toBeLessThan(controlLimits.handshakesMax);
    expect(silent[0]?.readyState).not.toBe(WebSocket.OPEN);
    expect(silent.at(-1)?.readyState).toBe(WebSocket.OPEN);
  });

  it("held all connections, so that no node with the key got in", async () => {
    const address = await start(clusterKey);
    const silent: Socket[] = [];
    cleanups.push(() => silent.forEach((socket) => void socket.destroy()));
    for (let i = 0; i < controlLimits.strangersMax + controlLimits.connectionsMax; i++) {
      const socket = connect(address.port, address.host).resume();
      socket.on("error", () => {});
      silent.push(socket);
      await once(socket, "connect");
    }
    expect(await letsIn(address)).toBe(true);
  });

  it("are not what counts against those with the key, of whom there are only so many", async () => {
    const address = await start();
    for (let i = 0; i < controlLimits.connectionsMax; i++) expect(await letsIn(address, null)).toBe(true);
    await expect(letsIn(address, null)).rejects.toMatchObject({ code: "BUSY" });
    const [last] = cleanups.splice(-1);
    await last?.();
    await sleep(50);
    expect(await letsIn(address, null)).toBe(true);
  });
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A WebSocket frame of a client, masked with 0. */
function frame(opcode: number, isLast: boolean, payload: Uint8Array): Buffer {
  const head = Buffer.from([(isLast ? 0x80 : 0) | opcode, 0x80 | payload.length, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

const [continuation, binary, pong] = [0, 2, 10];
const aByte = Uint8Array.of(1);

/** Upgrades, says `first`, and then `again` 100 times; whether the node ends the connection over it. */
async function isCutOff(address: HostPort, first: Uint8Array, again: Uint8Array): Promise<boolean> {
  const socket = connect(address.port, address.host).resume();
  cleanups.push(() => socket.destroy());
  socket.on("error", () => {});
  const lines = [
    ...["GET /control HTTP/1.1", `Host: ${formatHostPort(address)}`, "Connection: Upgrade"],
    ...["Upgrade: websocket", "Sec-WebSocket-Version: 13"],
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  await once(socket, "data");
  socket.write(first);
  for (let i = 0; i < 100; i++) socket.write(again);
  return Promise.race([once(socket, "close").then(() => true), sleep(1_500).then(() => false)]);
}

describe("a WebSocket", () => {
  const hello = frame(binary, true, Buffer.concat([Buffer.from("NSWC\x01\0\x02\0"), randomBytes(32)]));

  // Each piece kept the 64 KiB that it was read with: 16,384 of them, from each of 32 connections.
  it.each([
    ["without the key", clusterKey, frame(binary, false, aByte)],
    ["after the handshake", undefined, Buffer.concat([hello, frame(binary, false, aByte)])],
  ])("%s, made a node hold gigabytes with a message in pieces of a byte", async (_, key, first) => {
    expect(await isCutOff(await start(key), first, frame(continuation, false, aByte))).toBe(true);
  });

  it("without the key was heard for as long as it only said pong", async () => {
    const address = await start(clusterKey);
    expect(await isCutOff(address, Buffer.alloc(0), frame(pong, true, aByte))).toBe(true);
  });

  it("that sends pongs after the handshake is none the worse for it", async () => {
    const first = Buffer.concat([hello, frame(pong, true, aByte)]);
    expect(await isCutOff(await start(), first, frame(pong, true, aByte))).toBe(false);
  });
});
