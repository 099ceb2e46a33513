import { randomFillSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type RawAddress, RawNbd } from "../support/raw-nbd.ts";
import { expectBoundedMemory, expectServed, unixOf, withAbusedTarget } from "./abuse-support.ts";

const MIB = 1024 * 1024;
const BOUND_BYTES = 64 * MIB;

describe("bytes that are no protocol, to every port", () => {
  const context = withAbusedTarget();

  function everyPort(): RawAddress[] {
    const { target } = context;
    const tcp = [{ host: target.host, port: target.port }, ...target.dataPorts, ...target.controlPorts];
    return [unixOf(target), ...tcp];
  }

  /** Sends bytes, gives the port time to answer or to hang up, and leaves. */
  async function poke(address: RawAddress, bytes: Uint8Array): Promise<void> {
    const client = await RawNbd.connect(address);
    await client.writeAll(bytes);
    await Promise.race([client.untilEnd().catch(() => {}), sleep(50)]);
    client.close();
  }

  test.each([1, 7, 64, 4096, MIB])("%d random bytes, several times", async (length) => {
    await expectBoundedMemory(context.target, BOUND_BYTES, async () => {
      for (const address of everyPort()) {
        for (let count = 0; count < 8; count++) await poke(address, randomFillSync(Buffer.alloc(length)));
      }
    });
    await expectServed(unixOf(context.target));
  });

  test.each([
    ["zeros", Buffer.alloc(65536)],
    ["ones", Buffer.alloc(65536, 0xff)],
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["an HTTP request without end", Buffer.from(`GET /${"a".repeat(200_000)}`)],
    ["an HTTP header without end", Buffer.from(`GET / HTTP/1.1\r\nX: ${"a".repeat(200_000)}`)],
    ["a TLS hello", Buffer.from(`16030100${"c8".repeat(2000)}`, "hex")],
    ["an SSH greeting", Buffer.from("SSH-2.0-OpenSSH_9.2\r\n")],
    ["an NBD greeting sent back", Buffer.from("4e42444d4147494349484156454f50540003", "hex")],
  ])("%s", async (_title, bytes) => {
    await expectBoundedMemory(context.target, BOUND_BYTES, async () => {
      for (const address of everyPort()) await poke(address, bytes);
    });
    await expectServed(unixOf(context.target));
  });

  test("a long stream of random bytes is cut off or swallowed", async () => {
    await expectBoundedMemory(context.target, BOUND_BYTES, async () => {
      const block = randomFillSync(Buffer.alloc(MIB));
      for (const address of everyPort()) {
        const client = await RawNbd.connect(address);
        for (let sent = 0; sent < 32 && !client.isEnded; sent++) {
          await Promise.race([client.writeAll(block), sleep(200)]);
        }
        client.close();
      }
    });
  });

  test("silent connections to every port, 50 each", async () => {
    await expectBoundedMemory(context.target, BOUND_BYTES, async () => {
      const silent: RawNbd[] = [];
      for (const address of everyPort()) {
        for (let count = 0; count < 50; count++) {
          const client = await RawNbd.connect(address).catch(() => undefined);
          if (client !== undefined) silent.push(client);
        }
      }
      expect(silent.length).toBeGreaterThan(0);
      await sleep(500);
      for (const client of silent) client.close();
    });
  });
});
