import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { describeWithTools } from "../support/require-tool.ts";
import { succeed, withTarget } from "./with-target.ts";

const MIB = 1024 * 1024;

describeWithTools(["nbdcopy"], "nbdcopy", () => {
  const context = withTarget();

  /** Random bytes with a hole, a run of zeros and a run of one value: every kind of page. */
  function writeImage(name: string): string {
    const image = randomFillSync(Buffer.alloc(context.target.sizeBytes));
    image.fill(0, 3 * MIB, 9 * MIB);
    image.fill(0x77, 20 * MIB + 1000, 22 * MIB + 3000);
    const path = context.scratch.file(name);
    writeFileSync(path, image);
    return path;
  }

  test.each([
    { connections: 1, requests: 1 },
    { connections: 1, requests: 64 },
    { connections: 4, requests: 64 },
  ])(
    "in and out again, $connections connections with $requests requests each",
    async ({ connections, requests }) => {
      const { uri, tcpUri } = context.target;
      const image = writeImage("in.raw");
      const back = context.scratch.file("out.raw");
      const parallel = [`--connections=${connections}`, `--requests=${requests}`];
      await succeed("nbdcopy", [...parallel, "--flush", image, uri]);
      await succeed("nbdcopy", [...parallel, tcpUri, back]);
      await succeed("cmp", [image, back]);
    },
  );

  test("synchronous, and with requests of 32 MiB", async () => {
    const image = writeImage("in.raw");
    const back = context.scratch.file("out.raw");
    await succeed("nbdcopy", ["--synchronous", image, context.target.tcpUri]);
    await succeed("nbdcopy", [`--request-size=${32 * MIB}`, "--requests=2", context.target.uri, back]);
    await succeed("cmp", [image, back]);
    await succeed("nbdcopy", [`--request-size=${32 * MIB}`, "--requests=2", image, context.target.uri]);
    await succeed("nbdcopy", ["--synchronous", context.target.uri, back]);
    await succeed("cmp", [image, back]);
  });

  test("reads everything to nowhere", async () => {
    const { stderr } = await succeed("nbdcopy", [context.target.uri, "null:"]);
    expect(stderr).toBe("");
  });
});
