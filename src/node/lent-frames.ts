import { ConfigError } from "../base/config-error.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { MemoryInfo } from "../io/meminfo.ts";
import type { ServerOptions } from "./options.ts";

/**
 * Most frames that are ever lent: as asked, but never what the machine is to keep for itself.
 * @throws ConfigError where that leaves none
 */
export function lentFrames(options: ServerOptions, { totalBytes }: MemoryInfo, log: Log): number {
  const { capacityBytes, reserveBytes } = options;
  const mostBytes = totalBytes - reserveBytes;
  if (mostBytes < PAGE_BYTES) {
    throw new ConfigError(
      "--reserve",
      `${reserveBytes} bytes leave nothing to lend; accepted: less than the memory there is, ${totalBytes} bytes`,
    );
  }
  if (capacityBytes > mostBytes) {
    log.warn("capacity cut to what the reserve leaves", {
      capacityBytes,
      reserveBytes,
      lentBytes: mostBytes,
    });
  }
  const frames = Math.floor(Math.min(capacityBytes, mostBytes) / PAGE_BYTES);
  if (frames > limits.storeFramesMax || frames < 1) {
    const most = limits.storeFramesMax * PAGE_BYTES;
    throw new ConfigError("--capacity", `${capacityBytes} bytes; accepted: ${PAGE_BYTES} to ${most}`);
  }
  return frames;
}
