import { describe, expect, it } from "vitest";
import { formatHostPort, isLoopbackHost, parseHostPort } from "../../../src/base/host-port.ts";
import { formatSize, parseDuration, parseSize, parseWhole, parseYesNo } from "../../../src/cli/values.ts";

const KiB = 1024;

describe("sizes", () => {
  it.each([
    ["0", 0],
    ["4096", 4096],
    ["1K", KiB],
    ["1k", KiB],
    ["512M", 512 * KiB ** 2],
    ["1.5G", 1.5 * KiB ** 3],
    ["2GiB", 2 * KiB ** 3],
    ["1T", KiB ** 4],
    // Not whole bytes: rounded down.
    ["1.3G", 1_395_864_371],
    ["23.2G", 24_910_810_316],
    ["0.1K", 102],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(["", " 1", "-1", "1X", "K", "1.5", "1e3", "0x10", "9999999999999999T", "1 G", "1GG", "NaN"])(
    "%j is refused with what is accepted",
    (text) => expect(() => parseSize(text)).toThrow(/accepted: .*K, M, G or T/),
  );

  it("are shown in the unit that fits", () => {
    expect([0, 1023, KiB, 1536, 150.4 * KiB, KiB ** 3].map(formatSize)).toEqual(
      ["0 B", "1023 B", "1 KiB", "1.5 KiB", "150 KiB", "1 GiB"], // no digits after the point from 100 on
    );
  });
});

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["2s", 2_000],
    ["1.5s", 1_500],
    ["3m", 180_000],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["", "5", "1h", "-1s", "s", "0.5ms"])("%j is refused", (text) =>
    expect(() => parseDuration(text)).toThrow(/accepted: .*ms, s or m/),
  );
});

describe("addresses", () => {
  it.each([
    ["127.0.0.1:7410", "127.0.0.1", 7410],
    ["host-1.example:0", "host-1.example", 0],
    ["[::1]:65535", "::1", 65535],
    ["[fe80::1%eth0]:1", "fe80::1%eth0", 1],
  ])("%s is read and written back", (text, host, port) => {
    expect(parseHostPort(text)).toEqual({ host, port });
    expect(formatHostPort({ host, port })).toBe(text);
  });

  it.each([
    "",
    "127.0.0.1",
    ":80",
    "::1:80",
    "[::1]",
    "[127.0.0.1]:80",
    "a:65536",
    "a:-1",
    "a:80x",
    "a b:80",
    "[x]:1",
    "300.1.1.1:80",
    "1.2.3:80",
    "010.0.0.1:80",
    "a.0x1:80",
    "1.2.3.4.:80",
    "[:::1]:80",
    "[1:2:3]:80",
  ])("%j is refused with what is accepted", (text) =>
    expect(() => parseHostPort(text)).toThrow(/accepted: HOST:PORT or \[IPV6\]:PORT/),
  );

  it("are loopback or not", () => {
    for (const host of ["127.0.0.1", "127.255.0.9", "::1", "localhost", "::ffff:127.0.0.1"]) {
      expect(isLoopbackHost(host)).toBe(true);
    }
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example", "localhost.example", "128.0.0.1"]) {
      expect(isLoopbackHost(host)).toBe(false);
    }
  });
});

it("whole numbers and yes or no are bounded", () => {
  expect(parseWhole(1, 64)("64")).toBe(64);
  for (const text of ["0", "65", "1.0", "x", ""])
    expect(() => parseWhole(1, 64)(text)).toThrow("from 1 to 64");
  const most = Number.MAX_SAFE_INTEGER;
  expect(parseWhole(0, most)("9007199254740991")).toBe(most);
  expect(() => parseWhole(0, most)("9007199254740992")).toThrow(`from 0 to ${most}`);
  expect([parseYesNo("1"), parseYesNo("on"), parseYesNo("FALSE")]).toEqual([true, true, false]);
  expect(() => parseYesNo("maybe")).toThrow("accepted: true or false");
});
