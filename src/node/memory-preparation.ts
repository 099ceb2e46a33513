import { setImmediate as turn } from "node:timers/promises";
import { ConfigError } from "../base/config-error.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { clientTableBytes } from "../client/client-tables.ts";
import type { MemoryInfo } from "../io/meminfo.ts";
import type { RedundancyName } from "../membership/node-record.ts";

const MiB = 1024 ** 2;
const inMiB = (bytes: number): string => `${Math.ceil(bytes / MiB)} MiB`;

/** Memory of a client's buffers that is set aside at its start: all of it, or what a small machine can do without. */
export function buffersPrepared(bufferBytes: number, { totalBytes }: MemoryInfo): number {
  return Math.min(bufferBytes, totalBytes * limits.buffersShareMax);
}

/**
 * A device whose tables the machine has no memory for would be found out in the middle of swapping.
 * @throws ConfigError
 */
export function checkTablesFit(
  device: { sizeBytes: number; redundancy: RedundancyName },
  bufferBytes: number,
  { availableBytes }: MemoryInfo,
): void {
  const { sizeBytes, redundancy } = device;
  const tableBytes = clientTableBytes(redundancy, sizeBytes / PAGE_BYTES);
  const leftBytes = availableBytes - bufferBytes - limits.clientSpareBytes;
  if (tableBytes <= leftBytes) return;
  const most = Math.max(0, Math.floor((leftBytes / tableBytes) * sizeBytes));
  throw new ConfigError(
    "--size",
    `${inMiB(sizeBytes)} needs ${inMiB(tableBytes)} of memory for its tables and ${inMiB(bufferBytes)} for buffers; ` +
      `${inMiB(availableBytes)} is available, accepted: up to ${Math.floor(most / MiB)}M`,
  );
}

/**
 * Writes to each page of these regions once, and leaves them as they are: from now on the system gives no more
 * memory for them at the time when there is none. In steps, so that others have their turn.
 */
export async function touch(regions: readonly Uint8Array[], log: Log): Promise<void> {
  const totalBytes = regions.reduce((sum, region) => sum + region.length, 0);
  let doneBytes = 0;
  let saidMs = performance.now();
  for (const region of regions) {
    for (let at = 0; at < region.length; at += limits.touchStepBytes) {
      const end = Math.min(region.length, at + limits.touchStepBytes);
      // Atomic: nobody who uses the region meanwhile is disturbed, and no compiler leaves it out.
      for (let page = at; page < end; page += PAGE_BYTES) Atomics.add(region, page, 0);
      if (end > at) Atomics.add(region, end - 1, 0);
      doneBytes += end - at;
      await turn();
      if (performance.now() - saidMs < 1_000) continue;
      saidMs = performance.now();
      log.info("setting memory aside", {
        doneMiB: Math.floor(doneBytes / MiB),
        ofMiB: Math.ceil(totalBytes / MiB),
      });
    }
  }
}
