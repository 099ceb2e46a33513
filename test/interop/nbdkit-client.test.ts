import { randomFillSync } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Child } from "../support/child.ts";
import { describeWithTools } from "../support/require-tool.ts";
import { succeed, withTarget } from "./with-target.ts";

describeWithTools(["nbdkit", "nbdinfo", "nbdcopy"], "nbdkit's nbd plugin, a strict client", () => {
  const context = withTarget();
  const relays: Child[] = [];
  let relayUri = "";

  beforeAll(async () => {
    const socketPath = context.scratch.file("relay.sock");
    relayUri = `nbd+unix:///?socket=${socketPath}`;
    const relay = new Child("nbdkit", ["-f", "-U", socketPath, "nbd", `uri=${context.target.uri}`]);
    relays.push(relay);
    await relay.until("its socket", () => (existsSync(socketPath) ? true : undefined));
  });
  afterAll(async () => {
    for (const relay of relays) await relay.stop();
  });

  test("everything the server can is seen through it", async () => {
    const { stdout } = await succeed("nbdinfo", ["--json", relayUri]);
    const [info] = (JSON.parse(stdout) as { exports: Record<string, unknown>[] }).exports;
    expect(info).toMatchObject({
      "export-size": context.target.sizeBytes,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
      can_fast_zero: true,
      can_cache: true,
      can_fua: true,
    });
  });

  test("copies in and out through it", async () => {
    const image = context.scratch.file("in.raw");
    const back = context.scratch.file("out.raw");
    const bytes = randomFillSync(Buffer.alloc(context.target.sizeBytes));
    bytes.fill(0, 1_000_000, 3_000_000);
    writeFileSync(image, bytes);
    await succeed("nbdcopy", [image, relayUri]);
    await succeed("nbdcopy", [relayUri, back]);
    await succeed("cmp", [image, back]);
    await succeed("nbdcopy", [context.target.uri, back]);
    await succeed("cmp", [image, back]);
  });

  test("extents through it", async () => {
    const { stdout } = await succeed("nbdinfo", ["--map", "--totals", "--json", relayUri]);
    const totals = JSON.parse(stdout) as { size: number }[];
    expect(totals.reduce((sum, { size }) => sum + size, 0)).toBe(context.target.sizeBytes);
  });
});
