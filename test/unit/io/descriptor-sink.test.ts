import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { DescriptorSink, type DescriptorWriter } from "../../../src/io/descriptor-sink.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A descriptor with room for so many bytes, which fails if told so. */
function descriptor(room = Number.POSITIVE_INFINITY) {
  const made = { text: "", room, code: undefined as string | undefined, writes: 0 };
  const failure = (code: string) => Object.assign(new Error(code), { code });
  const writer: DescriptorWriter = {
    write(bytes, from, to, written) {
      made.writes += 1;
      if (made.code !== undefined) return written(failure(made.code), 0);
      const count = Math.min(to - from, made.room);
      if (count === 0) return written(failure("EAGAIN"), 0);
      made.text += Buffer.from(bytes.subarray(from, from + count)).toString();
      made.room -= count;
      written(null, count);
    },
    writeAtExit: () => 0,
  };
  return { made, writer };
}

it("lines of which a terminal takes a part only are gone on with where it stopped", () => {
  const { made, writer } = descriptor(7);
  const sink = new DescriptorSink(writer, 1_000);
  let all = "";
  for (let i = 0; i < 5; i += 1) {
    sink.write(`line number ${i}\n`);
    all += `line number ${i}\n`;
  }
  expect(made.text).toBe("line nu");
  for (let i = 0; i < 40; i += 1) {
    made.room = 3;
    vi.advanceTimersByTime(limits.logRetryMs);
  }
  expect(made.text).toBe(all);
});

it("lines that find no room are counted, and said where they are missing once half of it is free", () => {
  const { made, writer } = descriptor(0);
  const sink = new DescriptorSink(writer, 4 * limits.logPieceBytes);
  sink.describeDropped = (count) => `${count} dropped\n`;
  const line = `${"x".repeat(1_023)}\n`;
  for (let i = 0; i < 100; i += 1) sink.write(line);
  made.room = limits.logPieceBytes;
  vi.advanceTimersByTime(limits.logRetryMs);
  expect(made.text).toBe(line.repeat(4));
  sink.write("this is dropped too\n");
  made.room = Number.POSITIVE_INFINITY;
  vi.advanceTimersByTime(limits.logRetryMs);
  sink.write("after\n");
  // One line was being written, 16 were in the ring.
  expect(made.text.replaceAll(line, "*")).toBe(`${"*".repeat(17)}84 dropped\nafter\n`);
});

it("a disk that was full, or a terminal that is gone, is not asked for each line, and has them when it can", () => {
  const { made, writer } = descriptor();
  made.code = "ENOSPC";
  const sink = new DescriptorSink(writer);
  for (let i = 0; i < 1_000; i += 1) sink.write("x\n");
  expect(made.writes).toBe(1);
  vi.advanceTimersByTime(10 * limits.logFailedRetryMs);
  expect(made.writes).toBeLessThanOrEqual(12);
  made.code = undefined;
  vi.advanceTimersByTime(limits.logFailedRetryMs);
  expect(made.text).toBe("x\n".repeat(1_000));
});

it("a terminal that is gone is not waited for at the end", async () => {
  const { made, writer } = descriptor();
  made.code = "EIO";
  const sink = new DescriptorSink(writer);
  sink.write("x\n");
  expect(await sink.finish(60_000)).toBe(true);
  sink.write("y\n");
  expect(made.text).toBe("");
});

it("one who does not read is waited for at the end, but not for long", async () => {
  vi.useRealTimers();
  const { made, writer } = descriptor(0);
  const sink = new DescriptorSink(writer);
  sink.write("x\n");
  const before = performance.now();
  expect(await sink.finish(100)).toBe(true);
  expect(performance.now() - before).toBeGreaterThanOrEqual(100);
  expect(made.text).toBe("");
  sink.write("nothing is tried any more\n");
});
