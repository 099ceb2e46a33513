import { describe, expect, test } from "vitest";
import {
  BlockOutput,
  checkExport,
  NBD_LIMITS,
  NBD_RESERVE_MAX,
  NbdExportTable,
  NbdServerSession,
  NbdUsageError,
} from "../src/index.ts";
import { anExport, Rig } from "./rig.ts";
import { clientFlags, go, join } from "./wire.ts";

describe("exports", () => {
  test.each([
    ["a negative size", { sizeBytes: -1 }],
    ["a size that is no integer", { sizeBytes: 0.5 }],
    ["a size beyond 2^53 - 1", { sizeBytes: 2 ** 53 }],
    ["a name of more than 4096 bytes", { name: "ä".repeat(2049) }],
    ["a name with NUL", { name: "a\0" }],
    ["a name with half a character, which no client could ask for", { name: "a\ud83d" }],
    ["a description with NUL", { description: "a\0" }],
    ["fast zeroes without zeroes", { canWriteZeroes: false, canFastZero: true }],
    ["a minimum that is no power of two", { blockSize: { minimum: 3, preferred: 4096, maximum: 65536 } }],
    ["a minimum beyond 65536", { blockSize: { minimum: 131072, preferred: 131072, maximum: 131072 } }],
    ["a preferred size below 512", { blockSize: { minimum: 1, preferred: 256, maximum: 65536 } }],
    ["a preferred size below the minimum", { blockSize: { minimum: 4096, preferred: 512, maximum: 65536 } }],
    ["a maximum below the preferred size", { blockSize: { minimum: 1, preferred: 4096, maximum: 512 } }],
    ["a maximum that is no multiple", { blockSize: { minimum: 512, preferred: 512, maximum: 1000 } }],
    ["a maximum beyond 32 bits", { blockSize: { minimum: 1, preferred: 512, maximum: 2 ** 32 } }],
  ])("%s is refused", (_what, changes) => {
    expect(() => checkExport(anExport(changes))).toThrow(NbdUsageError);
  });

  test("the maximum may be 2^32 - 1 whatever the minimum", () => {
    checkExport(anExport({ blockSize: { minimum: 512, preferred: 512, maximum: 0xffffffff } }));
  });

  test("a table finds by name; the empty name is the only export, or the one so named", () => {
    const one = anExport();
    const two = anExport({ name: "" });
    expect(new NbdExportTable([one]).find("")).toBe(one);
    expect(new NbdExportTable([one, two]).find("")).toBe(two);
    expect(new NbdExportTable([one, anExport({ name: "b" })]).find("")).toBeUndefined();
    expect(new NbdExportTable([one]).find("constructor")).toBeUndefined();
    expect(() => new NbdExportTable([one, anExport()])).toThrow(NbdUsageError);
  });

  test("an export of no bytes is served", () => {
    const rig = new Rig({ exports: [anExport({ sizeBytes: 0 })] });
    rig.session.start();
    rig.send(clientFlags(), go());
    expect(rig.session.state).toBe("transmission");
  });
});

describe("limits", () => {
  const sessionWith = (limits: object): NbdServerSession =>
    new NbdServerSession({
      exports: new NbdExportTable([]),
      handler: new Rig(),
      output: new BlockOutput(),
      limits,
    });

  test.each([
    [{ optionsMax: 0 }],
    [{ optionsMax: 1.5 }],
    [{ nameBytesMax: 4097 }],
    [{ requestsInFlightMax: Number.POSITIVE_INFINITY }],
    [{ optionBytesMax: 2 * 1024 * 1024 }],
    [{ unheardOf: 1 }],
  ])("%j is refused", (limits) => {
    expect(() => sessionWith(limits)).toThrow(NbdUsageError);
  });

  test("the defaults hold together", () => {
    sessionWith({ ...NBD_LIMITS });
    expect(NBD_LIMITS.optionDrainBytesMax).toBeGreaterThan(NBD_LIMITS.optionBytesMax);
    expect(NBD_LIMITS.optionBytesMax).toBeGreaterThan(NBD_LIMITS.nameBytesMax * 2);
  });
});

describe("block output", () => {
  test("keeps the order over blocks, and gives nothing twice", () => {
    const output = new BlockOutput(NBD_RESERVE_MAX);
    const expected: number[] = [];
    for (let index = 0; index < 50; index++) {
      const length = 1 + ((index * 997) % NBD_RESERVE_MAX);
      const at = output.reserve(length);
      expect(output.view.buffer).toBe(output.bytes.buffer);
      output.bytes.fill(index, at, at + length);
      for (let count = 0; count < length; count++) expected.push(index);
      if (index % 7 === 0) output.append(Uint8Array.of(255, 254));
      if (index % 7 === 0) expected.push(255, 254);
    }
    expect(output.length).toBe(expected.length);
    const blocks = output.take();
    const later = output.reserve(4);
    output.bytes.fill(99, later, later + 4);
    expect(Buffer.compare(join(...blocks), Uint8Array.from(expected))).toBe(0);
    expect(join(...output.take())).toEqual(Uint8Array.of(99, 99, 99, 99));
    expect(output.take()).toEqual([]);
    expect(output.length).toBe(0);
  });

  test("a block smaller than a reserve is refused", () => {
    expect(() => new BlockOutput(4096)).toThrow(NbdUsageError);
  });
});
