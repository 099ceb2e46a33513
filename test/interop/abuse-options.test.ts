import { randomFillSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ConnectionEnded, goData, nbd, RawNbd } from "../support/raw-nbd.ts";
import { expectAlive, unixOf, withAbusedTarget } from "./abuse-support.ts";

const REPLY_ERROR = 0x80000000;

describe("abuse of the option phase", () => {
  const context = withAbusedTarget();
  const greeted = (flags?: number) => RawNbd.greeted(unixOf(context.target), flags);

  /** The client can still choose the export and use it. */
  async function expectCarriesOn(client: RawNbd): Promise<void> {
    expect(await client.go()).toBe(BigInt(context.target.sizeBytes));
    await expectAlive(client);
    client.close();
  }

  test("unknown options are answered ERR_UNSUP, their data swallowed, and negotiation goes on", async () => {
    const client = await greeted();
    for (const option of [11, 12, 99, 0x7fffffff, 0xffffffff]) {
      for (const length of [0, 1, 4096]) {
        const replies = await client.option(option, randomFillSync(Buffer.alloc(length)));
        expect(replies).toMatchObject([{ option }]);
        expect(replies[0]!.type).toBeGreaterThanOrEqual(REPLY_ERROR);
        if (option !== 11) expect(replies[0]!.type).toBe(nbd.replyError.unsupported);
      }
    }
    await expectCarriesOn(client);
  });

  test("LIST and STRUCTURED_REPLY with data are invalid, negotiation goes on", async () => {
    const client = await greeted();
    for (const option of [nbd.option.list, nbd.option.structuredReply]) {
      const replies = await client.option(option, Buffer.from("data"));
      expect(replies).toMatchObject([{ option, type: nbd.replyError.invalid }]);
    }
    await expectCarriesOn(client);
  });

  test.each([
    ["no data", Buffer.alloc(0)],
    ["three bytes", Buffer.alloc(3)],
    ["a name longer than the option", goData("", 5000)],
    ["a name length of 4 GiB", goData("", 0xffffffff)],
    ["a name length that leaves no room for the count", goData("", 1)],
    ["more information requests than there are", Buffer.from([0, 0, 0, 0, 0xff, 0xff])],
    ["bytes after the end", Buffer.from([0, 0, 0, 0, 0, 0, 1, 2, 3])],
  ])("GO and INFO with %s: an error, never an export", async (_title, data) => {
    for (const option of [nbd.option.go, nbd.option.info]) {
      const client = await greeted();
      const outcome = await client.option(option, data).catch((error: unknown) => error);
      if (outcome instanceof ConnectionEnded) continue;
      expect(outcome).toHaveLength(1);
      expect((outcome as { type: number }[])[0]!.type).toBeGreaterThanOrEqual(REPLY_ERROR);
      await expectCarriesOn(client);
    }
  });

  test.each([
    ["no data", Buffer.alloc(0)],
    ["a name length of 4 GiB", Buffer.from("ffffffff00000000", "hex")],
    ["a count of queries that are not there", Buffer.from("0000000000ffffff", "hex")],
    ["a query longer than the option", Buffer.from("000000000000000100001000aabb", "hex")],
    ["bytes after the end", Buffer.from("0000000000000000aabbcc", "hex")],
  ])("LIST and SET_META_CONTEXT with %s: an error", async (title, data) => {
    // nbdkit reads such an option leniently, which the protocol leaves open.
    if (context.target.kind === "nbdkit" && title === "bytes after the end") return;
    for (const option of [nbd.option.listMeta, nbd.option.setMeta]) {
      const client = await greeted();
      await client.option(nbd.option.structuredReply);
      const outcome = await client.option(option, data).catch((error: unknown) => error);
      if (outcome instanceof ConnectionEnded) continue;
      expect((outcome as { type: number }[]).at(-1)!.type).toBeGreaterThanOrEqual(REPLY_ERROR);
      expect(await client.go()).toBe(BigInt(context.target.sizeBytes));
      client.close();
    }
  });

  test("SET_META_CONTEXT before structured replies is invalid", async () => {
    const client = await greeted();
    const replies = await client.option(nbd.option.setMeta, Buffer.from("0000000000000000", "hex"));
    expect(replies.at(-1)!.type).toBe(nbd.replyError.invalid);
    await expectCarriesOn(client);
  });

  test("an option that claims 4 GiB of data ends the connection or is swallowed, nothing is kept", async () => {
    for (const option of [nbd.option.exportName, nbd.option.go, nbd.option.list, 77]) {
      const client = await greeted();
      client.sendOption(option, Buffer.alloc(64 * 1024), 0xffffffff);
      await client.writeAll(Buffer.alloc(1024 * 1024));
      client.close();
    }
  });

  test("a wrong option magic ends the connection", async () => {
    const client = await greeted();
    client.write(randomFillSync(Buffer.alloc(16)));
    await client.untilEnd();
  });

  test("unknown client flags end the connection", async () => {
    const client = await greeted(0xf0000003);
    client.sendOption(nbd.option.list);
    await client.untilEnd();
  });

  test("EXPORT_NAME with a name that does not exist ends the connection", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", "nbdkit serves every name");
    const client = await greeted();
    client.sendOption(nbd.option.exportName, Buffer.from("no-such-export"));
    await client.untilEnd();
    expect(client.bufferedBytes).toBe(0);
  });

  test("names that are too long, not UTF-8 or not there are refused", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", "nbdkit serves every name");
    for (const name of ["x".repeat(4096), "x".repeat(5000), "\0", "no-such-export"]) {
      const client = await greeted();
      const outcome = await client.option(nbd.option.go, goData(name)).catch((error: unknown) => error);
      if (!(outcome instanceof ConnectionEnded)) {
        expect((outcome as { type: number }[]).at(-1)!.type).toBeGreaterThanOrEqual(REPLY_ERROR);
        await expectCarriesOn(client);
      }
    }
  });

  test("ABORT is acknowledged, then the connection ends", async () => {
    const client = await greeted();
    const replies = await client.option(nbd.option.abort);
    expect(replies).toMatchObject([{ option: nbd.option.abort, type: nbd.reply.ack }]);
    await client.untilEnd();
  });

  test("a client that hangs up anywhere in the handshake is forgotten", async () => {
    const whole = Buffer.alloc(4 + 16 + goData("").length);
    whole.writeUInt32BE(3, 0);
    whole.writeBigUInt64BE(nbd.optionMagic, 4);
    whole.writeUInt32BE(nbd.option.go, 12);
    whole.writeUInt32BE(goData("").length, 16);
    for (let cut = 0; cut <= whole.length; cut++) {
      const client = await RawNbd.connect(unixOf(context.target));
      await client.writeAll(whole.subarray(0, cut));
      client.close();
    }
  });

  test("a handshake that arrives byte by byte succeeds", async () => {
    const client = await RawNbd.connect(unixOf(context.target));
    client.socket.setNoDelay(true);
    await client.read(18);
    const option = Buffer.alloc(20 + goData("").length);
    option.writeUInt32BE(3, 0);
    option.writeBigUInt64BE(nbd.optionMagic, 4);
    option.writeUInt32BE(nbd.option.go, 12);
    option.writeUInt32BE(goData("").length, 16);
    for (const byte of option) await client.writeAll(Buffer.from([byte]));
    let last = await client.readOptionReply();
    while (last.type === nbd.reply.info) last = await client.readOptionReply();
    expect(last.type).toBe(nbd.reply.ack);
    await expectAlive(client);
    client.close();
  });

  test("thousands of options in one go are answered or end the connection", async () => {
    const client = await greeted();
    for (let count = 0; count < 5000; count++) client.sendOption(nbd.option.list);
    client.sendOption(nbd.option.abort);
    await client.untilEnd();
  });
});
