import { closeSync, constants, fstatSync, openSync, type Stats, write, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { DescriptorSink, type DescriptorWriter } from "./descriptor-sink.ts";
import type { LineSink } from "./line-sink.ts";
import { StreamSink } from "./stream-sink.ts";

/** Standard output, standard error. */
export type StandardDescriptor = 1 | 2;

/**
 * Where lines on a standard descriptor go, by what it is. A terminal or pipe that nobody reads must not stop a node
 * that a machine swaps to, and neither must a disk, of which a machine that swaps asks much.
 */
export function openStandard(fd: StandardDescriptor): LineSink {
  const stat = fstatSync(fd);
  if (stat.isSocket()) return new StreamSink(fd === 1 ? process.stdout : process.stderr);
  const own = stat.isFIFO() || isatty(fd) ? openOwn(fd, stat) : undefined;
  return new DescriptorSink(own === undefined ? throughPool(fd, stat.isFile()) : withoutBlocking(own));
}

/** True if both are the same file: its lines then go one way, so that they keep their order and stay whole. */
export function isSameFile(one: StandardDescriptor, other: StandardDescriptor): boolean {
  const [a, b] = [fstatSync(one), fstatSync(other)];
  return a.dev === b.dev && a.ino === b.ino;
}

/** Opens the same terminal or pipe once more: O_NONBLOCK on what we inherited would change it for the shell too. */
function openOwn(fd: number, inherited: Stats): number | undefined {
  const { O_WRONLY, O_NONBLOCK, O_APPEND, O_NOCTTY } = constants;
  let own: number;
  try {
    own = openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_APPEND | O_NOCTTY);
  } catch {
    // Another user's, a FIFO that has no reader, or no /proc.
    return undefined;
  }
  const opened = fstatSync(own);
  if (opened.dev === inherited.dev && opened.ino === inherited.ino) return own;
  closeSync(own);
  return undefined;
}

/** For a descriptor that has O_NONBLOCK. */
function withoutBlocking(fd: number): DescriptorWriter {
  return {
    write(bytes, from, to, written) {
      let count: number;
      try {
        count = writeSync(fd, bytes, from, to - from);
      } catch (error) {
        return written(error as NodeJS.ErrnoException, 0);
      }
      written(null, count);
    },
    writeAtExit: (bytes, from, to) => tryToWrite(fd, bytes, from, to),
  };
}

/** A thread of the pool writes, and blocks if need be. At the exit only a file is written to: it does not take long. */
function throughPool(fd: number, isFile: boolean): DescriptorWriter {
  return {
    write: (bytes, from, to, written) =>
      write(fd, bytes, from, to - from, null, (error, count) => written(error, count)),
    writeAtExit: (bytes, from, to) => (isFile ? tryToWrite(fd, bytes, from, to) : 0),
  };
}

function tryToWrite(fd: number, bytes: Uint8Array, from: number, to: number): number {
  try {
    return writeSync(fd, bytes, from, to - from);
  } catch {
    return 0;
  }
}
