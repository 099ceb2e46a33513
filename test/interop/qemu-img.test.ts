import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runTool } from "../support/child.ts";
import { describeWithTools } from "../support/require-tool.ts";
import { succeed, withTarget } from "./with-target.ts";

const MIB = 1024 * 1024;

describeWithTools(["qemu-img"], "qemu-img", () => {
  const context = withTarget();

  test("info: a raw device of the right size", async () => {
    const { stdout } = await succeed("qemu-img", ["info", "--output=json", context.target.uri]);
    expect(JSON.parse(stdout)).toMatchObject({ format: "raw", "virtual-size": context.target.sizeBytes });
  });

  /** A mostly empty image: data at 4 MiB and in the last MiB. */
  function sparseImage(): Buffer {
    const image = Buffer.alloc(context.target.sizeBytes);
    randomFillSync(image, 4 * MIB, 2 * MIB);
    randomFillSync(image, context.target.sizeBytes - MIB, MIB);
    return image;
  }

  test("convert and compare", async () => {
    const { uri } = context.target;
    const image = sparseImage();
    const path = context.scratch.file("image.raw");
    writeFileSync(path, image);
    await succeed("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", path, uri]);
    await succeed("qemu-img", ["compare", "-f", "raw", "-F", "raw", path, uri]);

    image[5 * MIB]! ^= 1;
    writeFileSync(path, image);
    const compared = await runTool("qemu-img", ["compare", "-f", "raw", "-F", "raw", path, uri]);
    expect(compared.status, compared.stdout).toBe(1);
  });

  test("map tells data from holes", async ({ skip }) => {
    skip(context.target.kind === "front", "the front alone keeps no map");
    const { uri, sizeBytes } = context.target;
    const path = context.scratch.file("image.raw");
    writeFileSync(path, sparseImage());
    await succeed("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", path, uri]);
    const { stdout } = await succeed("qemu-img", ["map", "--output=json", "-f", "raw", uri]);
    const extents = JSON.parse(stdout) as { start: number; length: number; data: boolean }[];
    expect(extents.reduce((sum, { length }) => sum + length, 0)).toBe(sizeBytes);
    const isData = (at: number) =>
      extents.find(({ start, length }) => at >= start && at < start + length)!.data;
    expect([0, 4 * MIB, 6 * MIB - 1, 6 * MIB, sizeBytes - 1].map(isData)).toEqual([
      false,
      true,
      true,
      false,
      true,
    ]);
  });

  test("bench: 64 requests in flight", async () => {
    await succeed("qemu-img", [
      "bench",
      "-f",
      "raw",
      "-w",
      "-c",
      "2000",
      "-d",
      "64",
      "-s",
      "4096",
      context.target.uri,
    ]);
  });
});
