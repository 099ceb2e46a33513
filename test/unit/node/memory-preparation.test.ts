import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ConfigError } from "../../../src/base/config-error.ts";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import { startClientNode } from "../../../src/node/client-node.ts";
import { buffersPrepared, checkTablesFit, touch } from "../../../src/node/memory-preparation.ts";

const MiB = 1024 ** 2;
const GiB = 1024 * MiB;
const memory = { totalBytes: 16 * GiB, availableBytes: 8 * GiB };

const faults = (): number => Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")[7]);

it("memory that was touched gives no page faults when it is used, and is as it was", async () => {
  const region = new Uint8Array(64 * MiB);
  region[5 * MiB] = 7;
  await touch([region.subarray(0, 48 * MiB), new Uint8Array(0), region.subarray(48 * MiB + 1)], silentLog);
  const before = faults();
  expect([region[5 * MiB], region.indexOf(7), region.lastIndexOf(7)]).toEqual([7, 5 * MiB, 5 * MiB]);
  for (let at = 0; at < region.length; at += 4096) region[at] = 1;
  // 16,384 pages, had they not been touched.
  expect(faults() - before).toBeLessThan(2_000);
});

it("a small machine sets aside what is used first of the buffers, a large one all", () => {
  expect(buffersPrepared(128 * MiB, memory)).toBe(128 * MiB);
  expect(buffersPrepared(128 * MiB, { totalBytes: 256 * MiB, availableBytes: 0 })).toBe(16 * MiB);
});

it("a device whose tables do not fit the memory there is is refused, with what it would need", () => {
  const check = (sizeBytes: number, redundancy: "none" | "mirror" | "parity") =>
    checkTablesFit({ sizeBytes, redundancy }, 128 * MiB, memory);
  check(16 * GiB, "parity");
  check(512 * GiB, "mirror");
  check(2048 * GiB, "none");
  const refusal =
    /^--size: 8388608 MiB needs 110592 MiB .* 128 MiB for buffers; 8192 MiB .* up to ([0-9]+)M$/;
  expect(() => check(8192 * GiB, "parity")).toThrow(refusal);
  expect(() => check(8192 * GiB, "parity")).toThrow(ConfigError);
  expect(() => check(8192 * GiB, "none")).toThrow("needs 28672 MiB of memory for its tables");
  let most = 0;
  try {
    check(8192 * GiB, "parity");
  } catch (error) {
    most = Number(refusal.exec((error as Error).message)![1]);
  }
  check(most * MiB, "parity");
  expect(() => check((most + 1) * MiB, "parity")).toThrow("--size");
  expect(limits.groupBytesPerSlot).toBeLessThanOrEqual(40);
});

it("a client of a device that is too large does not start", async () => {
  const anyPort = { host: "127.0.0.1", port: 0 };
  const options = {
    ...{ name: "c", control: anyPort, peers: [], insecure: false, log: "text" as const, nbd: anyPort },
    ...{ sizeBytes: 8192 * GiB, exportName: "", redundancy: "parity" as const, groupSize: 4 },
  };
  await expect(startClientNode(options, silentLog, () => memory)).rejects.toThrow(
    /^--size: 8388608 MiB needs/,
  );
});
