import { expect, test } from "vitest";
import { runTool } from "../support/child.ts";
import { describeWithTools } from "../support/require-tool.ts";
import { succeed, withTarget } from "./with-target.ts";

describeWithTools(["qemu-io"], "qemu-io", () => {
  const context = withTarget();

  /** Runs qemu-io commands in one session; every one must succeed. */
  async function qemuIo(...commands: string[]): Promise<string> {
    const args = ["-f", "raw", ...commands.flatMap((command) => ["-c", command]), context.target.uri];
    const { stdout, stderr } = await succeed("qemu-io", args);
    expect(`${stdout}${stderr}`).not.toMatch(/failed|error/i);
    return stdout;
  }

  test("patterns come back, and a wrong pattern is noticed", async () => {
    await qemuIo("write -P 0x5a 0 64k", "read -P 0x5a 0 64k", "flush");
    const wrong = await runTool("qemu-io", ["-f", "raw", "-c", "read -P 0x5b 0 64k", context.target.uri]);
    expect(wrong.stdout + wrong.stderr).toContain("Pattern verification failed");
  });

  test("zeros and discards read as zeros, and nothing beside them changes", async () => {
    await qemuIo(
      "write -P 0x31 0 1M",
      "write -z 64k 64k",
      "write -z -u 256k 64k",
      "write -z -n 384k 64k",
      "discard 512k 64k",
      "read -P 0x31 0 64k",
      "read -P 0 64k 64k",
      "read -P 0x31 128k 128k",
      "read -P 0 256k 64k",
      "read -P 0 384k 64k",
      "read -P 0 512k 64k",
      "read -P 0x31 576k 448k",
    );
  });

  test("unaligned writes change their own bytes alone", async () => {
    await qemuIo(
      "write -P 0x11 0 32k",
      "write -P 0x22 513 1023",
      "write -P 0x33 4095 2",
      "write -P 0x44 8191 8194",
      "write -z 20481 4097",
      "read -P 0x11 0 513",
      "read -P 0x22 513 1023",
      "read -P 0x11 1536 2559",
      "read -P 0x33 4095 2",
      "read -P 0x11 4097 4094",
      "read -P 0x44 8191 8194",
      "read -P 0x11 16385 4096",
      "read -P 0 20481 4097",
      "read -P 0x11 24578 8190",
    );
  });

  test("FUA, vectored and asynchronous requests", async () => {
    await qemuIo(
      "write -f -P 0x61 1M 4k",
      "writev -P 0x62 2M 4k 12k 512",
      "aio_write -P 0x63 3M 1M",
      "aio_write -P 0x64 5M 512k",
      "aio_flush",
      "read -P 0x61 1M 4k",
      "readv -P 0x62 2M 8k 8k 512",
      "read -P 0x63 3M 1M",
      "read -P 0x64 5M 512k",
    );
  });

  test("the first and the last byte of the device", async () => {
    const last = context.target.sizeBytes - 1;
    await qemuIo(
      "write -P 0x71 0 1",
      `write -P 0x72 ${last} 1`,
      "read -P 0x71 0 1",
      `read -P 0x72 ${last} 1`,
    );
  });

  test("maps", async () => {
    const { stdout } = await succeed("qemu-io", ["-r", "-f", "raw", "-c", "map", context.target.uri]);
    expect(stdout).toMatch(/allocated/);
  });
});
