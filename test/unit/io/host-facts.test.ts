import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { advertisedAddress } from "../../../src/io/advertised-address.ts";
import { LineSplitter } from "../../../src/io/line-splitter.ts";
import { parseMeminfo, readMemoryInfo } from "../../../src/io/meminfo.ts";

describe("memory", () => {
  const text = "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n";

  it("is read from /proc/meminfo", () => {
    expect(parseMeminfo(text)).toEqual({ totalBytes: 16_384_000_000, availableBytes: 8_192_000_000 });
    expect(() => parseMeminfo("MemTotal: 1 kB\n")).toThrow("MemAvailable");
  });

  it("of this machine can be read", () => {
    const machine = readMemoryInfo();
    expect(machine.availableBytes).toBeGreaterThan(0);
    expect(machine.availableBytes).toBeLessThanOrEqual(machine.totalBytes);
  });
});

describe("memory within cgroups", () => {
  const GiB = 1024 ** 3;
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "nswap-cgroups-"));
    put("proc/meminfo", `MemTotal: ${16 * 1024 ** 2} kB\nMemAvailable: ${8 * 1024 ** 2} kB\n`);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function put(path: string, text: string | number): void {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }

  function mount(line: string, path: string): void {
    put("proc/self/mountinfo", `22 1 0:5 / /proc rw - proc proc rw\n${line}`);
    put("proc/self/cgroup", path);
  }

  const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw";
  const v1 = "35 31 0:32 / /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory";

  function putV2(folder: string, max: number | "max", current = 0, stat = ""): void {
    put(`sys/fs/cgroup/${folder}/memory.max`, max);
    put(`sys/fs/cgroup/${folder}/memory.current`, current);
    put(`sys/fs/cgroup/${folder}/memory.stat`, stat);
  }

  it("is the machine's where nothing limits it, or nothing can be seen", () => {
    const machine = { totalBytes: 16 * GiB, availableBytes: 8 * GiB };
    expect(readMemoryInfo(root)).toEqual(machine);
    mount(v2, "0::/a.slice/b.service");
    expect(readMemoryInfo(root)).toEqual(machine);
    putV2("a.slice", "max", 5 * GiB);
    putV2("a.slice/b.service", 64 * GiB);
    expect(readMemoryInfo(root)).toEqual(machine);
  });

  it("is the least of all cgroups above, less what is used there and not page cache", () => {
    mount(v2, "0::/a.slice/a-b.slice/c.service");
    putV2("a.slice/a-b.slice/c.service", 4 * GiB, GiB);
    putV2("a.slice", 6 * GiB, 5 * GiB, `anon 1\nactive_file ${GiB}\ninactive_file ${GiB}`);
    expect(readMemoryInfo(root)).toEqual({ totalBytes: 4 * GiB, availableBytes: 3 * GiB });
    putV2("a.slice", 3 * GiB, 2 * GiB, `active_file ${GiB / 2}\ninactive_file ${GiB / 2}`);
    expect(readMemoryInfo(root)).toEqual({ totalBytes: 3 * GiB, availableBytes: 2 * GiB });
    put("sys/fs/cgroup/a.slice/a-b.slice/memory.high", 2 * GiB);
    expect(readMemoryInfo(root)).toEqual({ totalBytes: 2 * GiB, availableBytes: 2 * GiB });
    putV2("a.slice", 2 * GiB, 3 * GiB);
    expect(readMemoryInfo(root).availableBytes).toBe(0);
  });

  it("is found with cgroups of version 1 too", () => {
    mount(v1, "5:cpu:/x\n4:cpuset,memory:/docker/1\n0::/");
    const at = "sys/fs/cgroup/mem ory/docker";
    put(`${at}/1/memory.limit_in_bytes`, "9223372036854771712");
    put(`${at}/memory.limit_in_bytes`, GiB);
    put(`${at}/memory.usage_in_bytes`, GiB / 2);
    put(`${at}/memory.stat`, `active_file 5\ntotal_active_file ${GiB / 4}\ntotal_inactive_file 0`);
    expect(readMemoryInfo(root)).toEqual({ totalBytes: GiB, availableBytes: (3 * GiB) / 4 });
  });

  it("is found from within a container, where the mount begins at its own cgroup", () => {
    mount(v2.replace("0:26 /", "0:26 /docker/1"), "0::/docker/1/inner");
    putV2("inner", 2 * GiB);
    expect(readMemoryInfo(root).totalBytes).toBe(2 * GiB);
    mount(v2, "0::/../elsewhere");
    putV2(".", 3 * GiB);
    expect(readMemoryInfo(root).totalBytes).toBe(3 * GiB);
  });
});

describe("the address others are told", () => {
  const hosts = ["127.0.0.1", "169.254.3.4", "fe80::1", "2001:db8::7", "10.0.0.7"];

  it.each([
    ["127.0.0.1", hosts, "127.0.0.1:80"],
    ["10.9.9.9", hosts, "10.9.9.9:80"],
    ["0.0.0.0", hosts, "10.0.0.7:80"],
    ["::", hosts, "10.0.0.7:80"],
    ["::", ["::1", "2001:db8::7"], "[2001:db8::7]:80"],
    ["0.0.0.0", ["2001:db8::7"], "127.0.0.1:80"],
    ["::", ["127.0.0.1"], "[::1]:80"],
  ])("for %s among %j is %s", (host, own, told) => {
    expect(advertisedAddress({ host, port: 80 }, undefined, () => own)).toBe(told);
  });
});

describe("the address others are told, as those of the machine come and go", () => {
  const any = { host: "0.0.0.0", port: 80 };
  const anyOf6 = { host: "::", port: 80 };

  it.each<[string, { host: string; port: number }, string, string[], string]>([
    ["is told once there is one", any, "127.0.0.1:80", ["127.0.0.1", "10.0.0.7"], "10.0.0.7:80"],
    ["stays beside newer ones", any, "10.0.0.7:80", ["172.17.0.1", "10.0.0.7"], "10.0.0.7:80"],
    ["changes when the machine has it no more", any, "10.0.0.7:80", ["10.0.0.8"], "10.0.0.8:80"],
    ["stays while there is none", any, "10.0.0.7:80", ["127.0.0.1"], "10.0.0.7:80"],
    ["gives way to a better one", anyOf6, "[2001:db8::7]:80", ["2001:db8::7", "10.0.0.7"], "10.0.0.7:80"],
  ])("%s", (_, bound, before, hosts, told) => {
    expect(advertisedAddress(bound, before, () => hosts)).toBe(told);
  });

  it("stays while the system has no descriptor left to list them with, and no node ends by that", () => {
    const hosts = () => {
      throw new Error("uv_interface_addresses returned Unknown system error 24");
    };
    expect(advertisedAddress(any, "10.0.0.7:80", hosts)).toBe("10.0.0.7:80");
    expect(() => advertisedAddress(any, undefined, hosts)).toThrow("uv_interface_addresses");
  });
});

describe("LineSplitter", () => {
  it("cuts lines wherever the chunks end, in the middle of a character too", () => {
    const bytes = Buffer.from("one\ntwö\n\nthree");
    for (let cut = 0; cut <= bytes.length; cut++) {
      const lines: string[] = [];
      const splitter = new LineSplitter((line) => lines.push(line));
      splitter.push(bytes.subarray(0, cut));
      splitter.push(bytes.subarray(cut));
      splitter.end();
      expect(lines).toEqual(["one", "twö", "", "three"]);
    }
  });

  it("does not gather a line without end", () => {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line), 10);
    splitter.push(Buffer.from("x".repeat(25)));
    expect(lines).toEqual(["xxxxxxxxxx", "xxxxxxxxxx"]);
    splitter.end();
    expect(lines).toHaveLength(3);
  });
});
