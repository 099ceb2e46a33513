import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { parseHostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { main } from "../../../src/cli/main.ts";
import type { StatusDocument } from "../../../src/membership/status-document.ts";
import { startClientNode } from "../../../src/node/client-node.ts";
import { startMemoryNode } from "../../../src/node/memory-node.ts";
import { startParityNode } from "../../../src/node/parity-node.ts";
import type { RunningNode, StartServerNode } from "../../../src/node/running-node.ts";
import { nbd, RawNbd } from "../../support/raw-nbd.ts";
import { FakeHost } from "../cli/fake-host.ts";

const anyPort = { host: "127.0.0.1", port: 0 };
const clean: (() => void)[] = [];
afterEach(() => {
  for (const end of clean.splice(0).reverse()) end();
});

const common = { control: anyPort, insecure: false, log: "text" } as const;
const peersOf = (node?: RunningNode) => (node === undefined ? [] : [parseHostPort(node.ready.control)]);

async function startServer(start: StartServerNode, name: string, peer?: RunningNode): Promise<RunningNode> {
  const memory = { listen: anyPort, capacityBytes: 4 << 20, reserveBytes: 0 };
  const node = await start({ ...common, ...memory, name, peers: peersOf(peer) }, silentLog);
  clean.push(() => node.stop());
  return node;
}

async function startClient(peer: RunningNode): Promise<RunningNode> {
  const device = { nbd: anyPort, sizeBytes: 1 << 20, exportName: "", groupSize: 3 };
  const node = await startClientNode(
    { ...common, ...device, name: "cli", redundancy: "parity", peers: peersOf(peer) },
    silentLog,
  );
  clean.push(() => node.stop());
  return node;
}

async function statusOf(node: RunningNode): Promise<StatusDocument> {
  const response = await fetch(`http://${node.ready.control}/status`);
  return (await response.json()) as StatusDocument;
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = AbortSignal.timeout(30_000);
  while (!(await holds())) {
    if (deadline.aborted) throw new Error(`waited in vain for ${what}`);
    await sleep(50);
  }
}

/** A whole cluster in this process: four memory servers, a parity server, a client that its device is read through. */
async function cluster() {
  const first = await startServer(startMemoryNode, "mem-1");
  const servers = [first];
  for (const name of ["mem-2", "mem-3", "mem-4"])
    servers.push(await startServer(startMemoryNode, name, first));
  const parity = await startServer(startParityNode, "par-1", first);
  const client = await startClient(first);
  const figures = async () => (await statusOf(client)).clients[0]!;
  await until(async () => {
    const { links } = await figures();
    return links.servers === 4 && links.parity === 1;
  }, "the client's links");
  const address = parseHostPort(/^nbd:\/\/([^/]+)\//.exec(client.ready.nbd!)![1]!);
  const device = await RawNbd.ready(address);
  clean.push(() => device.close());
  return { servers, parity, client, device, figures };
}

const pages = 60;
const content = Buffer.alloc(pages * 4096);
for (let at = 0; at < content.length; at += 4) content.writeUInt32LE((at * 2_654_435_761) >>> 0, at);

/** Writes the content page by page: what is written at once may go to a few servers, and groups stay open. */
async function fill(device: RawNbd): Promise<void> {
  for (let at = 0; at < content.length; at += 4096) {
    const payload = content.subarray(at, at + 4096);
    const written = await device.request({ command: nbd.command.write, offset: BigInt(at), payload });
    expect(written.error).toBe(0);
  }
}

describe("a parity server", () => {
  it("holds the parity of a client's pages, so that the loss of a memory server loses none", async () => {
    const { servers, parity, device, figures } = await cluster();
    await fill(device);
    const framesUsed = async () => (await statusOf(parity)).nodes[0]!.frames.used;
    await until(async () => (await framesUsed()) >= pages / 6, "parity pages at the parity server");
    expect(await figures()).toMatchObject({ redundancy: "parity", pages: { live: pages, lost: 0 } });

    const [victim] = servers;
    victim!.stop();
    const read = await device.request({ command: nbd.command.read, length: content.length });
    expect(read.error).toBe(0);
    expect(read.data.equals(content)).toBe(true);
    // Rebuilt elsewhere, and as protected as before.
    await until(async () => {
      const { recovery, pages: now, links } = await figures();
      return links.servers === 3 && recovery.state === "idle" && now.unprotected === 0;
    }, "the end of the recovery");
    servers[1]!.stop();
    const again = await device.request({ command: nbd.command.read, length: content.length });
    expect(again.error).toBe(0);
    expect(again.data.equals(content)).toBe(true);
    expect((await figures()).pages.lost).toBe(0);
  });

  it("shows itself in the status, and checks its groups when it is asked to", async () => {
    const { parity, client, device } = await cluster();
    await fill(device);
    await until(async () => (await statusOf(parity)).nodes[0]!.frames.used > 0, "parity pages");
    const { nodes } = await statusOf(parity);
    const { name, role, data, frames, scrub } = nodes[0]!;
    expect({ name, role, data }).toEqual({ name: "par-1", role: "parity", data: parity.ready.data });
    expect(frames.limit).toBe(1024);
    expect(scrub).toMatchObject({ state: "idle", mismatches: 0 });
    const metrics = await (await fetch(`http://${parity.ready.control}/metrics`)).text();
    expect(metrics).toMatch(/^nswap_parity_mismatches_total\{node="par-1",role="parity",.*\} 0$/m);

    const host = new FakeHost();
    expect(await main(["scrub", "--control", client.ready.control], host)).toBe(0);
    expect(host.out).toMatch(/^par-1: [1-9][0-9]* groups compared, [0-9]+ skipped, 0 mismatches$/m);
  });

  it("ends in order, and its port is free again", async () => {
    const node = await startServer(startParityNode, "par-1");
    expect(node.ready).toMatchObject({ role: "parity", name: "par-1" });
    await node.drain();
    await node.ended;
    const options = { ...common, name: "par-1", peers: [], capacityBytes: 1 << 20, reserveBytes: 0 };
    const again = await startParityNode({ ...options, listen: parseHostPort(node.ready.data!) }, silentLog);
    clean.push(() => again.stop());
    await expect(
      startParityNode({ ...options, listen: parseHostPort(node.ready.data!) }, silentLog),
    ).rejects.toMatchObject({ code: "ADDRESS_IN_USE", option: "--listen" });
  });
});
