import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { FrameType, WireError } from "../../../proto/peer/index.ts";
import { parseHostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { ClusterKey } from "../../../src/io/cluster-key.ts";
import { readMemoryInfo } from "../../../src/io/meminfo.ts";
import { startMemoryNode } from "../../../src/node/memory-node.ts";
import type { ServerOptions } from "../../../src/node/options.ts";
import type { RunningNode } from "../../../src/node/running-node.ts";
import { pageOf, SocketClient } from "../server/test-client.ts";

const clean: (() => void)[] = [];
afterEach(() => {
  for (const end of clean.splice(0).reverse()) end();
});

const anyPort = { host: "127.0.0.1", port: 0 };
const options: ServerOptions = {
  name: "mem-1",
  listen: anyPort,
  control: anyPort,
  peers: [],
  insecure: false,
  log: "text",
  capacityBytes: 1 << 20,
  reserveBytes: 0,
};

async function start(more: Partial<ServerOptions> = {}): Promise<RunningNode> {
  const node = await startMemoryNode({ ...options, ...more }, silentLog);
  clean.push(() => node.stop());
  return node;
}

function connect(node: RunningNode, key?: ClusterKey): SocketClient {
  const socket = net.connect(parseHostPort(node.ready.data!));
  clean.push(() => socket.destroy());
  return new SocketClient(socket, key === undefined ? {} : { prover: key });
}

async function statusOf(node: RunningNode): Promise<{ nodes: { data: string; frames: object }[] }> {
  const response = await fetch(`http://${node.ready.control}/status`);
  return (await response.json()) as never;
}

describe("startMemoryNode", () => {
  it("serves pages to clients with the key, and to no other", async () => {
    const directory = mkdtempSync(join(tmpdir(), "nswap-key-"));
    clean.push(() => rmSync(directory, { recursive: true }));
    const keyFile = join(directory, "key");
    writeFileSync(keyFile, "a key of more than sixteen bytes\n", { mode: 0o600 });
    const node = await start({ keyFile });
    const client = connect(node, ClusterKey.load(keyFile));
    await client.enter();
    client.script.put([1, 2]).get([2]);
    const pages = (await client.sendAndWait(2)).find((answer) => answer.type === FrameType.PAGES);
    expect(Buffer.compare(pages!.pages.get(0)!, pageOf(2))).toBe(0);
    const stranger = connect(node);
    stranger.script.hello();
    stranger.send();
    const answers = await stranger.answers((got) => got.at(-1)?.type === FrameType.ERROR);
    expect(answers.at(-1)!.aux).toBe(WireError.KEY_REQUIRED);
    await stranger.ended;
  });

  it("tells its frames on the control port, and ends in order", async () => {
    const node = await start();
    const client = connect(node);
    await client.enter();
    client.script.put([1, 2, 3]);
    await client.sendAndWait(1);
    const status = await statusOf(node);
    expect(status.nodes).toMatchObject([
      { name: "mem-1", role: "server", data: node.ready.data, frames: { used: 3, free: 253, limit: 256 } },
    ]);
    await node.drain();
    await node.ended;
    await client.ended;
    await expect(
      startMemoryNode({ ...options, listen: parseHostPort(node.ready.data!) }, silentLog).then((again) =>
        again.stop(),
      ),
    ).resolves.toBeUndefined();
  });

  it("takes no new pages while its machine needs the memory, and gives those that it holds", async () => {
    const machine = { totalBytes: 2 ** 34, availableBytes: 2 ** 33 };
    const log = { ...silentLog, warn: (text: string) => said.push(text) };
    const said: string[] = [];
    const node = await startMemoryNode({ ...options, reserveBytes: 2 ** 30 }, log, () => machine);
    clean.push(() => node.stop());
    const client = connect(node);
    await client.enter();
    client.script.put([1, 2]);
    expect(await client.sendAndWait(1)).toMatchObject([{ type: FrameType.ACK, capacity: { free: 254 } }]);
    machine.availableBytes = 2 ** 30 - 1;
    while (said.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    client.script.put([3, 2]).get([1, 2]);
    const answers = await client.sendAndWait(2);
    const ack = answers.find(({ type }) => type === FrameType.ACK)!;
    expect(ack).toMatchObject({
      capacity: { free: 0, limit: 2, used: 2 },
      acks: [{ status: 1, accepted: 0 }],
    });
    expect(answers.find(({ type }) => type === FrameType.PAGES)!.pages.size).toBe(2);
    const { nodes } = await statusOf(node);
    expect(nodes[0]!.frames).toEqual({ used: 2, free: 0, limit: 2 });
  });

  it.each(["drain", "stop"] as const)(
    "does not say that it keeps the pages that end with it (%s)",
    async (way) => {
      const said: string[] = [];
      const say = (text: string): void => void said.push(text);
      const node = await startMemoryNode(options, { ...silentLog, info: say, warn: say });
      clean.push(() => node.stop());
      const passing = connect(node);
      await passing.enter();
      passing.script.put([1]);
      await passing.sendAndWait(1);
      passing.socket.destroy();
      await expect.poll(() => said).toContain("client disconnected, its pages are kept");
      said.length = 0;
      const client = connect(node);
      await client.enter();
      client.script.put([1, 2, 3]);
      await client.sendAndWait(1);
      await node[way]();
      await node.ended;
      await client.ended;
      await expect.poll(() => said).toContain("client disconnected, its pages end with this server");
      expect(said.join()).not.toContain("kept");
    },
  );

  it("refuses what it cannot do, and leaves nothing bound", async () => {
    await expect(start({ name: "n".repeat(64) })).rejects.toThrow(/--name/);
    const { totalBytes } = readMemoryInfo();
    await expect(start({ reserveBytes: totalBytes })).rejects.toThrow(/--reserve/);
    await expect(start({ capacityBytes: 100 })).rejects.toThrow(/--capacity/);
    const node = await start();
    await expect(start({ listen: parseHostPort(node.ready.data!) })).rejects.toMatchObject({
      ...{ code: "ADDRESS_IN_USE", option: "--listen" },
    });
    const probe = net.createServer().listen(anyPort);
    await new Promise((resolve) => probe.once("listening", resolve));
    const free = probe.address() as net.AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const listen = { host: "127.0.0.1", port: free.port };
    await expect(start({ listen, control: parseHostPort(node.ready.control) })).rejects.toThrow(
      /^--control: 127\.0\.0\.1:[0-9]+ is in use already/,
    );
    await start({ listen });
  });
});
