import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import { MemoryWatch } from "../../../src/node/memory-watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const MiB = 1024 ** 2;

function start(availableMiB: number) {
  const said: string[] = [];
  const lent: number[] = [];
  const log = {
    ...silentLog,
    warn: (text: string) => said.push(text),
    info: (text: string) => said.push(text),
  };
  const machine = { totalBytes: 8192 * MiB, availableBytes: availableMiB * MiB };
  const read = () => {
    if (machine.availableBytes === 0) throw new Error("no such file");
    return { ...machine };
  };
  const store = {
    ...{ capacity: (1024 * MiB) / 4096, touched: 0, refused: false },
    lend: (frames: number) => lent.push(frames),
  };
  const watch = new MemoryWatch({ store, reserveBytes: 256 * MiB, read, log });
  return { watch, said, lent, machine, store };
}

it("a capacity beyond what is available is said at the start, and lent when there is more", () => {
  const { watch, said, lent, machine } = start(512);
  expect(lent).toEqual([(256 * MiB) / 4096]);
  expect(said.splice(0)).toEqual([expect.stringContaining("less memory is available than the capacity")]);
  machine.availableBytes = 4096 * MiB;
  vi.advanceTimersByTime(limits.memoryLookMs);
  expect(lent.at(-1)).toBe((1024 * MiB) / 4096);
  watch.stop();
  expect(said).toEqual([]);
});

it("a machine that runs short is looked at all the time, not once", () => {
  const { watch, said, lent, machine } = start(4096);
  expect(said).toEqual([]);
  machine.availableBytes = 200 * MiB;
  vi.advanceTimersByTime(10 * limits.memoryLookMs);
  expect(lent.at(-1)).toBe(0);
  expect(said.splice(0)).toEqual([expect.stringContaining("no new pages are taken")]);
  machine.availableBytes = 0;
  vi.advanceTimersByTime(limits.memoryLookMs);
  expect(lent.at(-1)).toBe(0);
  expect(said.splice(0)).toEqual([expect.stringContaining("cannot be looked at")]);
  machine.availableBytes = 4096 * MiB;
  vi.advanceTimersByTime(limits.memoryCalmMs + 2 * limits.memoryLookMs);
  expect(lent.at(-1)).toBe((1024 * MiB) / 4096);
  expect(said.splice(0)).toEqual([expect.stringContaining("taken again")]);
  watch.stop();
  machine.availableBytes = 1;
  vi.advanceTimersByTime(10 * limits.memoryLookMs);
  expect(said).toEqual([]);
});

it("memory that the system refuses is said once, and again when it is refused again", () => {
  const { watch, said, store } = start(4096);
  store.refused = true;
  vi.advanceTimersByTime(3 * limits.memoryLookMs);
  expect(said.splice(0)).toEqual([expect.stringContaining("the system refuses more memory")]);
  store.refused = false;
  vi.advanceTimersByTime(limits.memoryLookMs);
  store.refused = true;
  vi.advanceTimersByTime(limits.memoryLookMs);
  expect(said).toHaveLength(1);
  watch.stop();
});
