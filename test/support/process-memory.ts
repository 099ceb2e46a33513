import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";

const CHUNK_BYTES = 16 << 20;

/** Flips a bit `offset` bytes behind each place where `mark` is in a process' writable memory; returns how many. */
export function flipBehind(pid: number, mark: Buffer, offset: number): number {
  const memory = openSync(`/proc/${pid}/mem`, "r+");
  try {
    let flipped = 0;
    for (const [from, to] of writableRanges(pid)) {
      for (const place of placesOf(memory, mark, from, to)) {
        const byte = Buffer.alloc(1);
        readSync(memory, byte, 0, 1, place + offset);
        byte[0]! ^= 1;
        writeSync(memory, byte, 0, 1, place + offset);
        flipped += 1;
      }
    }
    return flipped;
  } finally {
    closeSync(memory);
  }
}

function writableRanges(pid: number): [number, number][] {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw-p .* 0 *$/.exec(line) ?? [];
      return from === undefined ? [] : [[Number.parseInt(from, 16), Number.parseInt(to!, 16)] as const];
    })
    .map(([from, to]) => [from, to]);
}

function placesOf(memory: number, mark: Buffer, from: number, to: number): number[] {
  const places: number[] = [];
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = from; at < to; at += CHUNK_BYTES - mark.length) {
    const length = readSome(memory, chunk, at, Math.min(CHUNK_BYTES, to - at));
    const bytes = chunk.subarray(0, length);
    for (let i = bytes.indexOf(mark); i >= 0; i = bytes.indexOf(mark, i + 1)) places.push(at + i);
  }
  return [...new Set(places)];
}

/** What is reserved and not in use cannot be read. */
function readSome(memory: number, into: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, into, 0, length, at);
  } catch {
    return 0;
  }
}
