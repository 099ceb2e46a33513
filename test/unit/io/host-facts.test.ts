import { describe, expect, it } from "vitest";
import { advertisedAddress } from "../../../src/io/advertised-address.ts";
import { LineSplitter } from "../../../src/io/line-splitter.ts";
import { parseMeminfo, readMemoryInfo } from "../../../src/io/meminfo.ts";

describe("memory", () => {
  const text = "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n";

  it("is read from /proc/meminfo", () => {
    expect(parseMeminfo(text)).toEqual({ totalBytes: 16_384_000_000, availableBytes: 8_192_000_000 });
    expect(() => parseMeminfo("MemTotal: 1 kB\n")).toThrow("MemAvailable");
  });

  it("is no more than the cgroup allows", () => {
    const machine = readMemoryInfo("/proc/meminfo", 0);
    expect(machine.availableBytes).toBeGreaterThan(0);
    expect(machine.availableBytes).toBeLessThanOrEqual(machine.totalBytes);
    expect(readMemoryInfo("/proc/meminfo", 2 ** 64)).toEqual(
      expect.objectContaining({ totalBytes: machine.totalBytes }),
    );
    expect(readMemoryInfo("/proc/meminfo", 4096)).toEqual({ totalBytes: 4096, availableBytes: 4096 });
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
    expect(advertisedAddress({ host, port: 80 }, own)).toBe(told);
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
    expect(advertisedAddress(bound, hosts, before)).toBe(told);
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
