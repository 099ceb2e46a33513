import { readFileSync, writeFileSync } from "node:fs";

const SYSCTL = "/proc/sys/net/core/wmem_default";

/** What docs/OPERATING.md gives Unix sockets: room for four answers of 128 KiB. */
const RECOMMENDED_BYTES = 512 * 1024;

/** Send buffer of a Unix socket that is made now. */
export function socketBufferBytes(): number {
  return Number(readFileSync(SYSCTL, "utf8"));
}

/**
 * Gives the sockets of all targets, nbdkit's too, the send buffers that docs/OPERATING.md recommends: raised, never
 * lowered, and as before when this process ends. Needs root; without it they stay as they are. Gives what was done.
 */
export function raiseSocketBuffers(): string {
  const before = socketBufferBytes();
  const inKiB = (bytes: number): string => `${bytes / 1024} KiB`;
  if (before >= RECOMMENDED_BYTES) return `send buffers of sockets stay at ${inKiB(before)}`;
  try {
    writeFileSync(SYSCTL, String(RECOMMENDED_BYTES));
  } catch (error) {
    return `send buffers of sockets stay at ${inKiB(before)}: ${(error as Error).message}`;
  }
  process.once("exit", () => writeFileSync(SYSCTL, String(before)));
  const change = `${inKiB(before)} to ${inKiB(RECOMMENDED_BYTES)}`;
  return `send buffers of sockets (net.core.wmem_default) raised from ${change} until the end`;
}
