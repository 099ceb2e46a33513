import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { controlTiming } from "../../../src/base/control-limits.ts";
import { formatHostPort, type HostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { Prng } from "../../../src/base/prng.ts";
import { Gossiper } from "../../../src/io/control/gossiper.ts";
import type { PeerTable } from "../../../src/membership/peer-table.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { RecordingPort, recordOf, tableOf } from "../membership/records.ts";

const anyPort = { host: "127.0.0.1", port: 0 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Passes bytes on to an address, and counts the connections that stand. */
async function relayTo(
  to: HostPort,
): Promise<{ address: HostPort; sockets: Set<Socket>; made: () => number }> {
  const sockets = new Set<Socket>();
  let made = 0;
  const server = createServer((socket) => {
    made += 1;
    sockets.add(socket);
    const on = connect(to);
    for (const one of [socket, on]) one.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      on.destroy();
    });
    on.on("close", () => socket.destroy());
    socket.pipe(on).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  return { address: { host: "127.0.0.1", port }, sockets, made: () => made };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 10_000) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it("a connection that was being made when the node's address changed stayed for ever", async () => {
  const identity = newIdentity();
  const peer = await ControlPlane.start({
    ...{ listen: anyPort, seeds: [], name: "peer", role: "server", identity, log: silentLog },
    self: () => ({ data: "127.0.0.1:7410", frames: { used: 0, free: 0, limit: 0 }, draining: false }),
    port: new RecordingPort(),
  });
  cleanups.push(() => peer.close());
  const relay = await relayTo(peer.address);
  const prng = new Prng(1);
  const timing = controlTiming;
  const { table } = tableOf();
  const seeds = [relay.address];
  const gossiper = new Gossiper({ table, seeds, key: null, prng, timing, log: silentLog });
  cleanups.push(() => gossiper.close());
  gossiper.beat(0);
  gossiper.reconnect();
  gossiper.beat(0);
  await until(() => relay.made() === 2 && table.isPresent(identity), "two connections");
  await until(() => relay.sockets.size === 1, "one that stays");
  gossiper.close();
  await until(() => relay.sockets.size === 0, "none is left");
});

it("a seed that once led back to the node itself was never looked at again: it stayed alone", async () => {
  const start = async (name: string, seeds: HostPort[]) => {
    const timing = { heartbeatMs: 20, backoffMsMax: 100 };
    const plane = await ControlPlane.start({
      ...{ listen: anyPort, seeds, name, role: "server", identity: newIdentity(), log: silentLog, timing },
      self: () => ({ data: "127.0.0.1:7410", frames: { used: 0, free: 0, limit: 0 }, draining: false }),
      port: new RecordingPort(),
    });
    cleanups.push(() => plane.close());
    return plane;
  };
  // One name for several nodes, as DNS may have it: whom it leads to is another one each time.
  const to = { ...anyPort };
  const relay = await relayTo(to);
  const a = await start("a", [relay.address]);
  const b = await start("b", []);
  Object.assign(to, a.address);
  const before = relay.made();
  await until(() => relay.made() > before, "a connection of a to itself");
  await new Promise((resolve) => setTimeout(resolve, 100));
  const connections = relay.made() - before;
  Object.assign(to, b.address);
  await until(() => a.status().nodes.length === 2, "a sees b");
  // It is no conversation that a node has with itself.
  expect(connections).toBeLessThan(5);
});

/** A table that has forgotten the node at an address, and has never heard of another. */
function tableThatForgot(control: HostPort): PeerTable {
  const { table } = tableOf();
  table.merge([recordOf(1, { control: formatHostPort(control) })], 0);
  for (let ms = 0; ms <= controlTiming.removeMs; ms += 1_000) table.tick(ms);
  return table;
}

it("where a forgotten node had been somebody else answered: that was said as an error again and again", async () => {
  const server = createServer((socket) => socket.on("error", () => {}).end("no control port\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as { port: number };
  const errors: string[] = [];
  const log = { ...silentLog, error: (text: string) => void errors.push(text) };
  const timing = { ...controlTiming, heartbeatMs: 1, backoffMsMax: 1 };
  const table = tableThatForgot({ host: "127.0.0.1", port });
  const gossiper = new Gossiper({ table, seeds: [], key: null, prng: new Prng(1), timing, log });
  cleanups.push(() => gossiper.close());
  const beating = setInterval(() => gossiper.beat(performance.now()), 1);
  cleanups.push(() => clearInterval(beating));
  await until(() => errors.length > 0, "an error");
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(errors).toEqual(["a peer cannot be spoken with"]);
});

describe.each([
  [
    "another cluster's node had the address of a forgotten one: without keys the two clusters became one",
    "b",
    1,
  ],
  ["a forgotten node is there again, or a new process of its name: the two see each other", "node-1", 2],
])("%s", (_, name, seen) => {
  it("is found out before anything is told", async () => {
    const identity = newIdentity();
    const peer = await ControlPlane.start({
      ...{ listen: anyPort, seeds: [], name, role: "server", identity, log: silentLog },
      self: () => ({ data: "127.0.0.1:7410", frames: { used: 0, free: 0, limit: 0 }, draining: false }),
      port: new RecordingPort(),
    });
    cleanups.push(() => peer.close());
    const relay = await relayTo(peer.address);
    const table = tableThatForgot(relay.address);
    const timing = { ...controlTiming, heartbeatMs: 1, backoffMsMax: 1 };
    const gossiper = new Gossiper({ table, seeds: [], key: null, prng: new Prng(1), timing, log: silentLog });
    cleanups.push(() => gossiper.close());
    const beating = setInterval(() => gossiper.beat(performance.now()), 1);
    cleanups.push(() => clearInterval(beating));
    await until(() => relay.made() > 0, "a connection");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(peer.status().nodes.length).toBe(seen);
    expect(table.nodes().length).toBe(seen);
    // Nor is it asked again.
    expect(relay.made()).toBe(1);
  });
});

it("a node that left waited for one that was long forgotten", async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    cleanups.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as { port: number };
  const timing = { ...controlTiming, leaveMs: 10 };
  const table = tableThatForgot({ host: "127.0.0.1", port });
  for (let n = 0; n < 50; n++) {
    const prng = new Prng(n);
    const gossiper = new Gossiper({ table, seeds: [], key: null, prng, timing, log: silentLog });
    await gossiper.farewell();
    gossiper.close();
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(connections).toBe(0);
});
