import net from "node:net";
import { afterEach, expect, test } from "vitest";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { NswapError } from "../../../src/base/errors.ts";
import { limits } from "../../../src/base/limits.ts";
import type { OutQueue } from "../../../src/base/out-queue.ts";
import { DemandDialer, type DemandingCore } from "../../../src/io/demand-dialer.ts";
import type { DialledLink } from "../../../src/io/link-socket.ts";
import { ownReceiveRegion } from "../../../src/io/receive-region.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds() && waited < 1000; waited += 1)
    await new Promise((done) => setTimeout(done, 10));
  expect(holds()).toBe(true);
}

/** A link that says hello and keeps what it hears. */
class FakeLink implements DialledLink {
  closed: Error | undefined;
  up = false;
  readonly peer = undefined;
  heard = "";

  constructor(
    readonly client: string,
    readonly server: string,
    out: OutQueue,
  ) {
    const at = out.reserve(5);
    out.bytes.set(Buffer.from("hello"), at);
  }

  receive(bytes: Uint8Array, start: number, end: number): number {
    this.heard += Buffer.from(bytes.subarray(start, end)).toString();
    return end - start;
  }
}

class FakeCore implements DemandingCore<FakeLink> {
  readonly said: string[] = [];
  readonly links: FakeLink[] = [];
  full = false;

  openLink(client: string, server: string, out: OutQueue): FakeLink {
    if (this.full) throw new NswapError("LIMIT_REACHED", "no room for a link");
    const link = new FakeLink(client, server, out);
    this.links.push(link);
    return link;
  }
  linkEnded(link: FakeLink): void {
    this.said.push(`ended ${link.client} ${link.server}`);
  }
  unreachable(client: string, server: string): void {
    this.said.push(`unreachable ${client} ${server}`);
  }
}

function rig() {
  const core = new FakeCore();
  const dialer = new DemandDialer({
    ...{ core, region: ownReceiveRegion(), sendPool: new HeapBlockPool(8, 4096) },
    ...{ carryPool: new HeapBlockPool(8, limits.receiveBytesMax), nowMs: () => performance.now() },
    flusher: new TurnFlusher({ beforeFlush: () => {} }),
  });
  ends.push(() => dialer.stop());
  return { core, dialer };
}

/** A server that echoes. */
async function echo(): Promise<{ address: { host: string; port: number }; open: Set<net.Socket> }> {
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    socket.pipe(socket);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  ends.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { address: { host: "127.0.0.1", port: (server.address() as net.AddressInfo).port }, open };
}

test("each client has a connection of its own to a memory server, made when it is wanted", async () => {
  const { core, dialer } = rig();
  const { address, open } = await echo();
  dialer.found("s", address);
  dialer.wanted("c1", "s");
  dialer.wanted("c2", "s");
  expect(core.links).toEqual([]);
  await until(() => core.links.length === 2 && core.links.every((link) => link.heard === "hello"));
  expect(core.links.map((link) => `${link.client} ${link.server}`)).toEqual(["c1 s", "c2 s"]);
  expect(dialer.connections).toBe(2);
  dialer.linkClosed(core.links[0]!);
  expect(core.said).toEqual(["ended c1 s"]);
  await until(() => open.size === 1);
  for (const socket of open) socket.destroy();
  await until(() => core.said.includes("ended c2 s"));
  expect(dialer.connections).toBe(0);
});

test("a memory server that is not known, is gone, or has no room for a link, is unreachable", async () => {
  const { core, dialer } = rig();
  dialer.wanted("c", "nobody");
  await until(() => core.said.includes("unreachable c nobody"));
  const { address } = await echo();
  dialer.found("s", address);
  core.full = true;
  dialer.wanted("c", "s");
  await until(() => core.said.includes("unreachable c s"));
  core.full = false;
  dialer.gone("s");
  dialer.wanted("c2", "s");
  await until(() => core.said.includes("unreachable c2 s"));
  expect(core.links).toEqual([]);
});

test("a connection that is refused ends its link, once", async () => {
  const { core, dialer } = rig();
  const { address } = await echo();
  for (const end of ends.splice(1)) end();
  dialer.found("s", address);
  dialer.wanted("c", "s");
  await until(() => core.said.length > 0);
  dialer.stop();
  expect(core.said).toEqual(["ended c s"]);
});

test("the addresses of memory servers are bounded, the oldest go", async () => {
  const { core, dialer } = rig();
  const { address } = await echo();
  for (let i = 0; i <= limits.memoryServersMax; i += 1) dialer.found(`s${i}`, address);
  dialer.wanted("c", "s0");
  dialer.wanted("c", "s1");
  await until(() => core.said.includes("unreachable c s0") && core.links.length === 1);
  expect(core.links[0]!.server).toBe("s1");
});
