import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { nbd, RawNbd } from "../support/raw-nbd.ts";
import { expectBoundedMemory, expectServed, unixOf, withAbusedTarget } from "./abuse-support.ts";

const MIB = 1024 * 1024;
const IDLE_CONNECTIONS = 300;

/** nbdkit 1.32 ends by an assertion (raw_send_socket, sock >= 0) when a client vanishes while it is answered. */
const isVulnerable = process.env["INTEROP_TARGET"] === "nbdkit";

describe.skipIf(isVulnerable)("floods", () => {
  const context = withAbusedTarget();

  test.each([
    { lengthBytes: 4096, requests: 50_000 },
    { lengthBytes: MIB, requests: 5_000 },
    { lengthBytes: 32 * MIB, requests: 200 },
  ])(
    "a client that asks for $requests reads of $lengthBytes bytes and never reads",
    async ({ lengthBytes, requests }) => {
      await expectBoundedMemory(context.target, 160 * MIB, async () => {
        const client = await RawNbd.ready(unixOf(context.target));
        client.socket.pause();
        for (let count = 0; count < requests; count++) {
          client.sendRequest({ command: nbd.command.read, length: lengthBytes });
        }
        await sleep(2_000);
        await expectServed(unixOf(context.target));
        client.close();
      });
    },
  );

  test("six clients that each ask for 32 MiB again and again, and never read", async ({ skip }) => {
    skip(context.target.kind === "front", "the front alone has no admission control");
    await expectBoundedMemory(context.target, 160 * MIB, async () => {
      const clients = await Promise.all(
        Array.from({ length: 6 }, () => RawNbd.ready(unixOf(context.target))),
      );
      for (const client of clients) {
        client.socket.pause();
        for (let count = 0; count < 50; count++) {
          client.sendRequest({ command: nbd.command.read, length: 32 * MIB });
        }
      }
      await sleep(3_000);
      await expectServed(unixOf(context.target));
      for (const client of clients) client.close();
    });
  });

  test("six clients that each begin a write of 32 MiB and never send the rest", async () => {
    await expectBoundedMemory(context.target, 160 * MIB, async () => {
      const clients = await Promise.all(
        Array.from({ length: 6 }, () => RawNbd.ready(unixOf(context.target))),
      );
      for (const client of clients) {
        client.sendRequest({ command: nbd.command.write, length: 32 * MIB });
        await client.writeAll(Buffer.alloc(4096));
      }
      await sleep(3_000);
      await expectServed(unixOf(context.target));
      for (const client of clients) client.close();
    });
  });

  test("clients that write without end and never read the answers", async () => {
    await expectBoundedMemory(context.target, 160 * MIB, async () => {
      const clients = await Promise.all(
        Array.from({ length: 4 }, () => RawNbd.ready(unixOf(context.target))),
      );
      const payload = Buffer.alloc(4096, 0x42);
      for (const client of clients) {
        client.socket.pause();
        for (let count = 0; count < 10_000; count++) {
          client.sendRequest({ command: nbd.command.write, offset: BigInt((count % 1000) * 4096), payload });
        }
      }
      await sleep(2_000);
      await expectServed(unixOf(context.target));
      for (const client of clients) client.close();
    });
  });

  test(`${IDLE_CONNECTIONS} idle connections in every phase: served or refused, cheap, and forgotten`, async () => {
    await expectBoundedMemory(context.target, 96 * MIB, async () => {
      const address = unixOf(context.target);
      const starts = [
        () => RawNbd.connect(address),
        () => RawNbd.greeted(address),
        () => RawNbd.ready(address),
      ];
      const idle: RawNbd[] = [];
      let refused = 0;
      for (let count = 0; count < IDLE_CONNECTIONS; count++) {
        await starts[count % starts.length]!().then(
          (client) => idle.push(client),
          () => refused++,
        );
      }
      expect(idle.length + refused).toBe(IDLE_CONNECTIONS);
      // The verifying client, connected before, is served throughout; a new one at the latest when they are gone.
      await sleep(500);
      for (const client of idle) client.close();
    });
    await expectServedSoon();
  });

  test("500 connections opened and dropped one after the other", async () => {
    await expectBoundedMemory(context.target, 64 * MIB, async () => {
      for (let count = 0; count < 500; count++) {
        const client = await RawNbd.connect(unixOf(context.target));
        client.close();
      }
    });
    await expectServedSoon();
  });

  test("clients that vanish with requests in flight", async () => {
    await expectBoundedMemory(context.target, 96 * MIB, async () => {
      for (let count = 0; count < 50; count++) {
        const client = await RawNbd.ready(unixOf(context.target));
        for (let request = 0; request < 32; request++) {
          client.sendRequest({ command: nbd.command.read, offset: BigInt(request * 131072), length: 131072 });
          client.sendRequest({ command: nbd.command.write, payload: Buffer.alloc(4096, request) });
        }
        await client.writeAll(Buffer.alloc(0));
        client.close();
      }
    });
  });

  /** The server may need a moment to see that others have left. */
  async function expectServedSoon(): Promise<void> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      try {
        await expectServed(unixOf(context.target));
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }
});
