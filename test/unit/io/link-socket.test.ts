import net from "node:net";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { type DialledLink, LinkSocket } from "../../../src/io/link-socket.ts";
import { ownReceiveRegion } from "../../../src/io/receive-region.ts";
import { TurnFlusher } from "../../../src/io/turn-flusher.ts";

test("what was on its way over a link that ends waited for the next tick before it went another way", async () => {
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => void accepted.push(socket));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    let flushes = 0;
    let flushesAtEnd = -1;
    const flusher = new TurnFlusher({
      beforeFlush: () => {
        flushes += 1;
      },
    });
    const link: DialledLink = {
      receive: (_bytes, start, end) => end - start,
      closed: undefined,
      up: true,
      peer: undefined,
    };
    const pool = new HeapBlockPool(4, limits.receiveBytesMax);
    const { port } = server.address() as net.AddressInfo;
    const ended = () => {
      flushesAtEnd = flushes;
    };
    const shared = { region: ownReceiveRegion(), sendPool: pool, carryPool: pool, flusher };
    const nowMs = () => performance.now();
    new LinkSocket({ host: "127.0.0.1", port }, () => link, { ended }, { ...shared, nowMs });
    for (let i = 0; accepted.length === 0 && i < 500; i += 1) await sleep(10);
    await sleep(50);
    accepted[0]!.resetAndDestroy();
    for (let i = 0; flushesAtEnd < 0 && i < 500; i += 1) await sleep(10);
    await turn();
    await turn();
    expect(flushesAtEnd).toBeGreaterThanOrEqual(0);
    expect(flushes).toBe(flushesAtEnd + 1);
  } finally {
    for (const socket of accepted) socket.destroy();
    server.close();
  }
});
