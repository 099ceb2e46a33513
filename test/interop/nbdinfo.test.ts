import { expect, test } from "vitest";
import { runTool } from "../support/child.ts";
import { describeWithTools } from "../support/require-tool.ts";
import { nbdsh, succeed, withTarget } from "./with-target.ts";

interface ExportInfo {
  "export-name": string;
  "export-size": number;
  contexts: string[];
  [flag: string]: unknown;
}

interface Extent {
  offset: number;
  length: number;
  type: number;
}

const HOLE_AND_ZERO = 3;
const DATA = 0;
const KIB = 1024;

describeWithTools(["nbdinfo", "nbdsh"], "nbdinfo", () => {
  const context = withTarget();

  async function exportsOf(args: string[]): Promise<ExportInfo[]> {
    const { stdout } = await succeed("nbdinfo", ["--json", ...args]);
    const info = JSON.parse(stdout) as { protocol: string; structured: boolean; exports: ExportInfo[] };
    expect(info).toMatchObject({ protocol: "newstyle-fixed", structured: true, TLS: false });
    return info.exports;
  }

  async function map(): Promise<Extent[]> {
    const { stdout } = await succeed("nbdinfo", ["--map", "--json", context.target.uri]);
    return JSON.parse(stdout) as Extent[];
  }

  test.each(["uri", "tcpUri"] as const)("describes the export (%s)", async (which) => {
    const { stdout } = await succeed("nbdinfo", [context.target[which]]);
    expect(stdout).toContain("newstyle-fixed");
    expect(stdout).toContain(`export-size: ${context.target.sizeBytes}`);

    const [info] = await exportsOf([context.target[which]]);
    expect(info).toMatchObject({
      "export-name": "",
      "export-size": context.target.sizeBytes,
      is_read_only: false,
      is_rotational: false,
      can_cache: true,
      can_df: true,
      can_fast_zero: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
    });
    expect(info!.contexts).toContain("base:allocation");
  });

  test("lists the export", async () => {
    const listed = await exportsOf(["--list", context.target.uri]);
    expect(listed.map((one) => one["export-name"])).toContain("");
    expect(listed[0]!["export-size"]).toBe(context.target.sizeBytes);
  });

  test("tells the block sizes: any request is served, 4 KiB suits best", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", "nbdkit's memory plugin has no block sizes to tell");
    const [info] = await exportsOf([context.target.uri]);
    expect(info).toMatchObject({
      block_size_minimum: 1,
      block_size_preferred: 4096,
      block_size_maximum: 32 * KIB * KIB,
    });
  });

  test("says what it can by exit status", async () => {
    const { uri } = context.target;
    for (const ability of [
      "connect",
      "multi-conn",
      "flush",
      "fua",
      "trim",
      "zero",
      "fast-zero",
      "cache",
      "df",
    ]) {
      await succeed("nbdinfo", ["--can", ability, uri]);
    }
    await succeed("nbdinfo", ["--can", "structured-reply", uri]);
    expect((await runTool("nbdinfo", ["--is", "read-only", uri])).status).toBe(2);
    expect((await runTool("nbdinfo", ["--is", "tls", uri])).status).toBe(2);
    expect((await succeed("nbdinfo", ["--size", uri])).stdout.trim()).toBe(String(context.target.sizeBytes));
  });

  test("maps holes and data, and holes again after a trim", async ({ skip }) => {
    skip(context.target.kind === "front", "the front alone keeps no map");
    const { uri, sizeBytes } = context.target;
    expect(await map()).toMatchObject([{ offset: 0, length: sizeBytes, type: HOLE_AND_ZERO }]);

    const start = 256 * KIB;
    const length = 128 * KIB;
    await nbdsh(
      `import os; h.connect_uri("${uri}"); h.pwrite(os.urandom(${length}), ${start}); h.shutdown()`,
    );
    const written = await map();
    expect(written.map(({ offset, length, type }) => ({ offset, length, type }))).toEqual([
      { offset: 0, length: start, type: HOLE_AND_ZERO },
      { offset: start, length, type: DATA },
      { offset: start + length, length: sizeBytes - start - length, type: HOLE_AND_ZERO },
    ]);

    await nbdsh(`h.connect_uri("${uri}"); h.trim(${length}, ${start}); h.shutdown()`);
    expect(await map()).toMatchObject([{ offset: 0, length: sizeBytes, type: HOLE_AND_ZERO }]);
  });

  test("an export that does not exist is refused by name", async ({ skip }) => {
    skip(context.target.kind === "nbdkit", "nbdkit serves every name");
    const wrong = context.target.uri.replace("///?", "///no-such-export?");
    const result = await runTool("nbdinfo", [wrong]);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/no-such-export|unknown|not exist|No such/i);
  });
});
