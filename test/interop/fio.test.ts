import { expect, test } from "vitest";
import { describeWithTools } from "../support/require-tool.ts";
import { succeed, withTarget } from "./with-target.ts";

describeWithTools(["fio"], "fio", () => {
  const context = withTarget();

  /** Writes and reads back with crc32c of every block; any wrong byte or error ends fio with a status. */
  async function verify(which: "uri" | "tcpUri", ...load: string[]): Promise<void> {
    const args = ["--name=verify", "--ioengine=nbd", `--uri=${context.target[which]}`, "--verify=crc32c"];
    const { stdout } = await succeed("fio", [
      ...args,
      "--verify_fatal=1",
      "--verify_state_save=0",
      "--output-format=json",
      ...load,
    ]);
    const { jobs } = JSON.parse(stdout.slice(stdout.indexOf("{"))) as {
      jobs: { error: number; read: { total_ios: number }; write: { total_ios: number } }[];
    };
    for (const job of jobs) {
      expect(job.error).toBe(0);
      expect(job.read.total_ios).toBeGreaterThan(0);
      expect(job.write.total_ios).toBeGreaterThan(0);
    }
  }

  test("random 4 KiB, 16 in flight", async () => {
    await verify("uri", "--rw=randrw", "--bs=4k", "--iodepth=16", "--size=32M");
  });

  test("random 4 KiB over TCP, 128 in flight", async () => {
    await verify("tcpUri", "--rw=randwrite", "--bs=4k", "--iodepth=128", "--size=32M");
  });

  test("sizes from 512 bytes to 128 KiB, aligned to 512", async () => {
    await verify(
      "uri",
      "--rw=randwrite",
      "--bsrange=512-128k",
      "--ba=512",
      "--iodepth=16",
      "--size=32M",
      "--serialize_overlap=1",
    );
  });

  test("four connections at once, each with its own range", async () => {
    const load = ["--rw=randrw", "--bs=4k", "--iodepth=16", "--size=8M"];
    await verify("uri", ...load, "--numjobs=4", "--offset_increment=8M");
  });

  test("overwrites: the last write is what is read", async () => {
    const load = ["--rw=randwrite", "--bs=4k", "--iodepth=16", "--size=4M", "--loops=8"];
    await verify("uri", ...load, "--verify_backlog=256", "--serialize_overlap=1");
  });

  test("trims between writes", async () => {
    const load = ["--rw=randtrimwrite", "--bs=4k", "--iodepth=16", "--size=8M"];
    const args = ["--name=trim", "--ioengine=nbd", `--uri=${context.target.uri}`, ...load];
    await succeed("fio", args);
  });
});
