import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { controlTiming } from "../../../src/base/control-limits.ts";
import { parseHostPort } from "../../../src/base/host-port.ts";
import { limits } from "../../../src/base/limits.ts";
import { type Log, silentLog } from "../../../src/base/log.ts";
import { ControlClient } from "../../../src/io/control/control-client.ts";
import type { NodeRecord } from "../../../src/membership/node-record.ts";
import { startClientNode } from "../../../src/node/client-node.ts";
import { startMemoryNode } from "../../../src/node/memory-node.ts";
import type { ClientOptions } from "../../../src/node/options.ts";
import { startParityNode } from "../../../src/node/parity-node.ts";
import { formatReadyLine, type RunningNode } from "../../../src/node/running-node.ts";
import { nbd, type RawAddress, RawNbd } from "../../support/raw-nbd.ts";

const anyPort = { host: "127.0.0.1", port: 0 };
const clean: (() => void)[] = [];
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "nswap-client-"));
  clean.push(() => rmSync(directory, { recursive: true }));
});
afterEach(() => {
  for (const end of clean.splice(0).reverse()) end();
});

async function start(more: Partial<ClientOptions> = {}, log: Log = silentLog): Promise<RunningNode> {
  const node = await startClientNode(
    {
      ...{ name: "cli-1", control: anyPort, peers: [], insecure: false, log: "text" },
      ...{ sizeBytes: 1 << 20, exportName: "", redundancy: "none", groupSize: 4 },
      ...more,
    },
    log,
  );
  clean.push(() => node.stop());
  return node;
}

async function startServer(): Promise<RunningNode> {
  const node = await startMemoryNode(
    {
      ...{ name: "mem-1", listen: anyPort, control: anyPort, peers: [], insecure: false, log: "text" },
      ...{ capacityBytes: 1 << 20, reserveBytes: 0 },
    },
    silentLog,
  );
  clean.push(() => node.stop());
  return node;
}

async function ready(address: RawAddress): Promise<RawNbd> {
  const client = await RawNbd.ready(address);
  clean.push(() => client.close());
  return client;
}

/** Address of the NBD TCP port that a ready line names. */
const tcpOf = (uri: string): { host: string; port: number } =>
  parseHostPort(/^nbd:\/\/([^/]+)\//.exec(uri)![1]!);

async function framesUsed(server: RunningNode): Promise<number> {
  const response = await fetch(`http://${server.ready.control}/status`);
  const { nodes } = (await response.json()) as { nodes: { name: string; frames: { used: number } }[] };
  return nodes.find((one) => one.name === server.ready.name)!.frames.used;
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = AbortSignal.timeout(30_000);
  while (!(await holds())) {
    if (deadline.aborted) throw new Error(`waited in vain for ${what}`);
    await sleep(20);
  }
}

/** Whether it settles within a time in which much would have happened. */
async function settles(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  return Promise.race([promise.then(() => true), sleep(withinMs, false)]);
}

describe("the ready line of a client", () => {
  it("names its TCP port, with the port that was picked, and the export", async () => {
    const node = await start({ nbd: anyPort, exportName: "swap 1" });
    const { port } = tcpOf(node.ready.nbd!);
    expect(port).toBeGreaterThan(0);
    expect(formatReadyLine(node.ready, "text")).toBe(
      `ready role=client name=cli-1 control=${node.ready.control} nbd=nbd://127.0.0.1:${port}/swap%201\n`,
    );
    const client = await RawNbd.greeted({ host: "127.0.0.1", port });
    clean.push(() => client.close());
    expect(await client.go("swap 1")).toBe(1n << 20n);
  });

  it("names its Unix socket first, where it has both, and both serve the same device", async () => {
    const path = join(directory, "n bd.sock");
    const node = await start({ socketPath: path, nbd: anyPort });
    expect(node.ready.nbd).toBe(`nbd+unix:///?socket=${directory}/n%20bd.sock`);
    const [unix, tcp] = [await ready({ path }), await ready(tcpOf(node.ready.nbdTcp!))];
    const payload = Buffer.alloc(4096, 0x5a);
    expect((await unix.request({ command: nbd.command.write, offset: 4096n, payload })).error).toBe(0);
    const read = await tcp.request({ command: nbd.command.read, offset: 4096n, length: 4096 });
    expect(read.data.equals(payload)).toBe(true);
  });
});

describe("the URI of a Unix socket", () => {
  it("names the whole path, though it has characters that end a query's value", async () => {
    const { nbd } = (await start({ socketPath: join(directory, "a#b&c?.sock") })).ready;
    expect(new URL(nbd!).searchParams.get("socket")).toBe(join(directory, "a#b&c?.sock"));
  });
});

describe("the redundancy of a client that was not told one", () => {
  const defaults: Omit<ClientOptions, "peers"> = {
    ...{ name: "cli-1", control: anyPort, insecure: false, log: "text" },
    ...{ sizeBytes: 1 << 20, exportName: "", groupSize: 4, nbd: anyPort },
  };

  async function modeBeside(peers: readonly RunningNode[]): Promise<{ mode: string; said: string[] }> {
    const said: string[] = [];
    const say = (text: string) => void said.push(text);
    const seeds = peers.map((peer) => parseHostPort(peer.ready.control));
    const log = { ...silentLog, info: say, warn: say };
    const node = await startClientNode({ ...defaults, peers: seeds }, log);
    clean.push(() => node.stop());
    const response = await fetch(`http://${node.ready.control}/status`);
    const { clients } = (await response.json()) as { clients: { redundancy: string }[] };
    return { mode: clients[0]!.redundancy, said };
  }

  it("is parity where its peers know of a parity server, and is said", async () => {
    const server = await startServer();
    const seeds = [parseHostPort(server.ready.control)];
    const parity = await startParityNode(
      {
        ...{ name: "par-1", listen: anyPort, control: anyPort, peers: seeds, insecure: false, log: "text" },
        ...{ capacityBytes: 1 << 20, reserveBytes: 0 },
      },
      silentLog,
    );
    clean.push(() => parity.stop());
    const { mode, said } = await modeBeside([server]);
    expect(mode).toBe("parity");
    expect(said.join()).toContain("the loss of any one server loses none of them");
  });

  it("is none where no parity server is known, and that is said as a warning", async () => {
    const { mode, said } = await modeBeside([await startServer()]);
    expect(mode).toBe("none");
    expect(said.join()).toContain("redundancy is none");
  });
});

describe("a client that is told of a younger process with the name and the addresses of its server", () => {
  it("keeps the link that stands, and the pages", async () => {
    const server = await startServer();
    const path = join(directory, "nbd.sock");
    const node = await start({ socketPath: path, peers: [parseHostPort(server.ready.control)] });
    const swapper = await ready({ path });
    const payload = Buffer.alloc(8192, "noise, not one word repeated ");
    expect((await swapper.request({ command: nbd.command.write, payload })).error).toBe(0);

    const at = parseHostPort(node.ready.control);
    const options = { key: null, purpose: "peer", timing: controlTiming } as const;
    const gossip = await ControlClient.connect(at, options);
    clean.push(() => gossip.close());
    const liar = "f".repeat(32);
    const { nodes } = await gossip.gossip(liar, []);
    const record = (nodes as NodeRecord[]).find(({ role }) => role === "server")!;
    await gossip.gossip(liar, [{ ...record, identity: liar, generation: record.generation + 1 }]);

    await sleep(5 * limits.tickMs);
    const read = await swapper.request({ command: nbd.command.read, length: 8192 });
    expect(read.error).toBe(0);
    expect(read.data.equals(payload)).toBe(true);
    expect((await swapper.request({ command: nbd.command.write, payload })).error).toBe(0);
  });
});

describe("draining a client", () => {
  it("waits for NBD clients, lets no new one in, and frees its pages when the last has gone", async () => {
    const server = await startServer();
    const path = join(directory, "nbd.sock");
    const node = await start({ socketPath: path, peers: [parseHostPort(server.ready.control)] });
    const [first, second] = [await ready({ path }), await ready({ path })];
    const payload = Buffer.alloc(8192, "noise, not one word repeated ");
    expect((await first.request({ command: nbd.command.write, payload })).error).toBe(0);
    await until(async () => (await framesUsed(server)) === 2, "two pages on the server");

    const drained = node.drain();
    expect(await settles(drained, 5 * limits.tickMs)).toBe(false);
    await expect(RawNbd.connect({ path })).rejects.toThrow(/ECONNREFUSED|ENOENT/);
    const read = await first.request({ command: nbd.command.read, length: 8192 });
    expect(read.data.equals(payload)).toBe(true);
    expect((await second.request({ command: nbd.command.write, offset: 8192n, payload })).error).toBe(0);
    first.close();
    expect(await settles(drained, 5 * limits.tickMs)).toBe(false);
    second.close();
    await drained;
    await node.ended;
    await until(async () => (await framesUsed(server)) === 0, "the server to drop the pages");
  });

  it("names whom it waits for, and how not to", async () => {
    const path = join(directory, "nbd.sock");
    const said: string[] = [];
    const warn = (text: string, fields?: object) => void said.push(`${text} ${JSON.stringify(fields)}`);
    const node = await start({ socketPath: path, nbd: anyPort }, { ...silentLog, warn });
    const clients = [await ready({ path }), await ready(tcpOf(node.ready.nbdTcp!))];
    const drained = node.drain();
    const line = said.find((text) => text.includes("still connected"))!;
    expect(line).toContain("again after 2 s stops at once");
    expect(line).toMatch(/"peers":"[^"]*nbd\.sock, 127\.0\.0\.1:[0-9]+"/);
    for (const client of clients) client.close();
    await drained;
  });

  it("waits for nobody who has not chosen the export", async () => {
    const path = join(directory, "nbd.sock");
    const node = await start({ socketPath: path });
    const client = await RawNbd.greeted({ path });
    clean.push(() => client.close());
    await node.drain();
    await node.ended;
    await client.untilEnd();
  });

  it("is cut short by stop, though NBD clients are connected", async () => {
    const path = join(directory, "nbd.sock");
    const node = await start({ socketPath: path });
    const client = await ready({ path });
    const drained = node.drain();
    expect(await settles(drained, 3 * limits.tickMs)).toBe(false);
    node.stop();
    await node.ended;
    await drained;
    await client.untilEnd();
  });
});

describe("a client that cannot start", () => {
  it.each([
    ["--nbd", { nbd: { host: "192.0.2.1", port: 0 } }],
    ["--control", { control: { host: "0.0.0.0", port: 0 }, nbd: anyPort }],
  ])("says that %s would be open to anybody", async (option, more) => {
    await expect(start(more)).rejects.toMatchObject({
      code: "ADDRESS_REFUSED",
      message: expect.stringContaining(option),
    });
  });

  it("says that its socket is in use, and leaves the one that answers alone", async () => {
    const path = join(directory, "nbd.sock");
    await start({ socketPath: path });
    await expect(start({ socketPath: path })).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
      message: expect.stringContaining(`--socket: ${path} is in use already; accepted: `),
    });
    await ready({ path });
  });

  it("deletes no file that is in the way of its socket", async () => {
    const path = join(directory, "precious");
    writeFileSync(path, "data");
    const link = join(directory, "link");
    symlinkSync(path, link);
    for (const way of [path, link, directory]) {
      await expect(start({ socketPath: way })).rejects.toMatchObject({
        code: "ADDRESS_IN_USE",
        message: expect.stringContaining(`--socket: ${way} exists and is not a socket; accepted: `),
      });
    }
    expect(readFileSync(link, "utf8")).toBe("data");
  });

  it("says that the directory of its socket does not exist, not that permission is denied", async () => {
    const path = join(directory, "nowhere", "nbd.sock");
    await expect(start({ socketPath: path })).rejects.toMatchObject({
      code: "ADDRESS_REFUSED",
      message: expect.stringContaining("its directory does not exist; accepted: "),
    });
  });

  it("says that its key file is missing or too open", async () => {
    const keyFile = join(directory, "key");
    await expect(start({ nbd: anyPort, keyFile })).rejects.toThrow(keyFile);
    writeFileSync(keyFile, "a key of more than sixteen bytes\n", { mode: 0o644 });
    await expect(start({ nbd: anyPort, keyFile })).rejects.toThrow(keyFile);
  });

  it("leaves nothing bound, and replaces the dead socket of one before it", async () => {
    const path = join(directory, "nbd.sock");
    const taken = net.createServer().listen(anyPort);
    clean.push(() => taken.close());
    await new Promise((resolve) => taken.once("listening", resolve));
    const control = taken.address() as net.AddressInfo;
    await expect(
      start({ socketPath: path, control: { host: "127.0.0.1", port: control.port } }),
    ).rejects.toThrow(/^--control: 127\.0\.0\.1:[0-9]+ is in use already; accepted: /);
    await expect(start({ nbd: { host: "127.0.0.1", port: control.port } })).rejects.toThrow(
      /^--nbd: 127\.0\.0\.1:[0-9]+ is in use already; accepted: /,
    );
    await expect(start({ socketPath: join(directory, "none", "sock") })).rejects.toThrow(
      /^--socket: cannot listen on /,
    );
    await expect(RawNbd.connect({ path })).rejects.toThrow(/ECONNREFUSED|ENOENT/);
    await start({ socketPath: path });
    await ready({ path });
  });
});
