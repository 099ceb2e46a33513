import { randomFillSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { nbd, RawNbd } from "../support/raw-nbd.ts";
import { expectAlive, expectBoundedMemory, unixOf, withAbusedTarget } from "./abuse-support.ts";

const MIB = 1024 * 1024;
const REQUEST_BYTES_MAX = 32 * MIB;
const LARGER_MAXIMUM = "nbdkit serves requests of up to 64 MiB";
const { command, errno, flag } = nbd;

describe("abuse of the transmission phase", () => {
  const context = withAbusedTarget();
  const ready = () => RawNbd.ready(unixOf(context.target));

  test("a wrong request magic ends the connection", async () => {
    const client = await ready();
    client.sendRequest({ command: command.read, length: 512, magic: 0x12345678 });
    await client.untilEnd();
    expect(client.bufferedBytes).toBe(0);
  });

  test("unknown commands are EINVAL, the connection lives", async () => {
    const client = await ready();
    for (const unknown of [8, 9, 100, 0x7fff, 0xffff]) {
      expect((await client.request({ command: unknown, length: 4096 })).error).toBe(errno.invalid);
      await expectAlive(client);
    }
    client.close();
  });

  test("unknown flags are EINVAL and nothing is done, the connection lives", async () => {
    const client = await ready();
    const before = randomFillSync(Buffer.alloc(4096));
    expect((await client.request({ command: command.write, payload: before })).error).toBe(0);
    for (const unknown of [0x20, 0x4000, 0x8000]) {
      for (const known of [command.read, command.flush, command.trim, command.cache, command.writeZeroes]) {
        const length = known === command.flush ? 0 : 4096;
        expect((await client.request({ command: known, flags: unknown, length })).error).toBe(errno.invalid);
      }
      const refused = await client.request({
        command: command.write,
        flags: unknown,
        payload: Buffer.alloc(4096, 7),
      });
      expect(refused.error).toBe(errno.invalid);
    }
    const { data } = await client.request({ command: command.read, length: 4096 });
    expect(data.equals(before)).toBe(true);
    client.close();
  });

  test("DF without structured replies is EINVAL", async () => {
    const client = await ready();
    expect((await client.request({ command: command.read, flags: flag.df, length: 512 })).error).toBe(
      errno.invalid,
    );
    await expectAlive(client);
    client.close();
  });

  test("block status without a negotiated context is EINVAL", async () => {
    const client = await ready();
    expect((await client.request({ command: command.blockStatus, length: 4096 })).error).toBe(errno.invalid);
    await expectAlive(client);
    client.close();
  });

  test("out of range: EINVAL for reads and trims, ENOSPC for writes and zeros, the connection lives", async () => {
    const client = await ready();
    const size = BigInt(context.target.sizeBytes);
    const strays = [size, size - 1n, size + 4096n, 1n << 62n, (1n << 64n) - 1n, (1n << 64n) - 4096n];
    for (const offset of strays) {
      expect((await client.request({ command: command.read, offset, length: 4096 })).error).toBe(
        errno.invalid,
      );
      expect((await client.request({ command: command.trim, offset, length: 4096 })).error).toBe(
        errno.invalid,
      );
      const zeroes = await client.request({ command: command.writeZeroes, offset, length: 4096 });
      expect(zeroes.error).toBe(errno.noSpace);
      const write = await client.request({ command: command.write, offset, payload: Buffer.alloc(4096, 1) });
      expect(write.error).toBe(errno.noSpace);
    }
    await expectAlive(client);
    client.close();
  });

  test("trims and zeros of up to 4 GiB are judged by range, not by size", async () => {
    const client = await ready();
    const all = context.target.sizeBytes - 2 * MIB;
    expect((await client.request({ command: command.trim, length: all })).error).toBe(0);
    expect((await client.request({ command: command.writeZeroes, length: all })).error).toBe(0);
    expect((await client.request({ command: command.trim, length: 0xffffffff })).error).toBe(errno.invalid);
    expect((await client.request({ command: command.writeZeroes, length: 0xffffffff })).error).toBe(
      errno.noSpace,
    );
    client.close();
  });

  test("reads that are too large are an error, the connection lives", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", LARGER_MAXIMUM);
    const client = await ready();
    await expectBoundedMemory(context.target, 64 * MIB, async () => {
      for (const length of [REQUEST_BYTES_MAX + 1, 0x7fffffff, 0xffffffff]) {
        const { error } = await client
          .request({ command: command.read, length })
          .catch(() => ({ error: -1 }));
        expect([errno.invalid, errno.overflow, errno.noMemory]).toContain(error);
      }
    });
    await expectAlive(client);
    client.close();
  });

  test("writes that are too large: an error with the payload dropped, or the connection ends; no memory", async ({
    skip,
  }) => {
    skip(context.target.kind === "nbdkit", LARGER_MAXIMUM);
    await expectBoundedMemory(context.target, 64 * MIB, async () => {
      const client = await ready();
      const length = REQUEST_BYTES_MAX + 4096;
      const cookie = client.sendRequest({ command: command.write, length });
      const block = randomFillSync(Buffer.alloc(MIB));
      for (let sent = 0; sent < length; sent += block.length) {
        await client.writeAll(block.subarray(0, Math.min(block.length, length - sent)));
      }
      const outcome = await client.readReply(cookie).catch(() => undefined);
      if (outcome !== undefined) {
        expect([errno.invalid, errno.overflow, errno.noMemory]).toContain(outcome.error);
        await expectAlive(client);
      }
      client.close();
    });
  });

  test("a write that claims 4 GiB and trickles takes no memory", async () => {
    await expectBoundedMemory(context.target, 64 * MIB, async () => {
      const clients = await Promise.all(Array.from({ length: 16 }, ready));
      for (const client of clients) {
        client.sendRequest({ command: command.write, length: 0xffffffff });
        await client.writeAll(Buffer.alloc(64 * 1024));
      }
      await expectAlive(await ready());
      for (const client of clients) client.close();
    });
  });

  test("largest writes and reads are served", async () => {
    const client = await ready();
    const payload = randomFillSync(Buffer.alloc(REQUEST_BYTES_MAX));
    expect((await client.request({ command: command.write, offset: 4096n, payload })).error).toBe(0);
    const { error, data } = await client.request({
      command: command.read,
      offset: 4096n,
      length: payload.length,
    });
    expect(error).toBe(0);
    expect(data.equals(payload)).toBe(true);
    client.close();
  });

  test("a client that ends anywhere in a write changes nothing, or its write alone", async ({ skip }) => {
    skip(context.target.kind === "front", "memory behind the front takes what has come of a write");
    const reader = await ready();
    const before = randomFillSync(Buffer.alloc(8192));
    expect((await reader.request({ command: command.write, payload: before })).error).toBe(0);
    for (const sent of [0, 1, 4095, 4096, 8191]) {
      const client = await ready();
      client.sendRequest({ command: command.write, length: 8192 });
      await client.writeAll(Buffer.alloc(sent, 0xee));
      client.close();
    }
    const { data } = await reader.request({ command: command.read, length: 8192 });
    // Pages that arrived whole may have been written; a page that did not arrive whole must not.
    for (const at of [0, 4096]) {
      const page = data.subarray(at, at + 4096);
      const isOld = page.equals(before.subarray(at, at + 4096));
      const isNew = at === 0 && page.every((byte) => byte === 0xee);
      expect(isOld || isNew, `page at ${at} is torn`).toBe(true);
    }
    reader.close();
  });

  test("a client that ends in the middle of a request header is forgotten", async () => {
    for (let cut = 1; cut < 28; cut++) {
      const client = await ready();
      const header = Buffer.alloc(28);
      header.writeUInt32BE(nbd.requestMagic, 0);
      await client.writeAll(header.subarray(0, cut));
      client.close();
    }
  });

  test("requests of no length are answered", async () => {
    const client = await ready();
    for (const each of [command.read, command.write, command.trim, command.writeZeroes, command.cache]) {
      const { error } = await client.request({ command: each, length: 0 });
      expect([0, errno.invalid, errno.noSpace]).toContain(error);
    }
    await expectAlive(client);
    client.close();
  });

  test("a request header that arrives byte by byte is served", async () => {
    const client = await ready();
    const header = Buffer.alloc(28);
    header.writeUInt32BE(nbd.requestMagic, 0);
    header.writeBigUInt64BE(77n, 8);
    header.writeUInt32BE(512, 24);
    for (const byte of header) await client.writeAll(Buffer.from([byte]));
    expect((await client.readReply(77n, 512)).error).toBe(0);
    client.close();
  });

  test("DISC is obeyed after what was asked before it", async () => {
    const client = await ready();
    const cookie = client.sendRequest({ command: command.write, payload: Buffer.alloc(4096, 9) });
    client.sendRequest({ command: command.disconnect });
    const reply = await client.readReply(cookie).catch(() => undefined);
    if (reply !== undefined) expect(reply.error).toBe(0);
    await client.untilEnd();
  });

  test("random requests with right magic: each is answered, whatever it asks", async () => {
    const client = await ready();
    const words = new Uint32Array(400);
    randomFillSync(words);
    for (let at = 0; at + 3 < words.length; at += 4) {
      const [kind, flags, where, size] = words.subarray(at, at + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      // Neither a write (its payload would have to follow), nor DISC, nor a read whose answer would be long.
      const asked = [command.flush, command.trim, command.cache, command.writeZeroes, 9 + (kind % 1000)][
        kind % 5
      ]!;
      const offset = BigInt(where) % BigInt(context.target.sizeBytes - 2 * MIB);
      const length = asked === command.flush ? 0 : size % 65536;
      const { error } = await client.request({ command: asked, flags: flags & 0xffff, offset, length });
      expect([0, errno.invalid, errno.notSupported, errno.noSpace]).toContain(error);
    }
    await expectAlive(client);
    client.close();
  });
});
