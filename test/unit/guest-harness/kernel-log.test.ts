import { describe, expect, test } from "vitest";
import { isKernelLine, kernelErrors } from "../../system/guest/kernel-log.ts";

/** Lines that kernels really print. */
const BAD: readonly string[] = [
  "[   12.345678] Buffer I/O error on dev nbd0, logical block 0, async page read",
  "[   12.345678] I/O error, dev nbd0, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
  "[   12.345678] Write-error on swap-device (43:0:8)",
  "[   12.345678] kworker/0:1H: page allocation failure: order:0, mode:0x820(GFP_ATOMIC)",
  "[  120.000000] INFO: task perl:763 blocked for more than 120 seconds.",
  "[   12.345678] BUG: unable to handle page fault for address: 0000000000000008",
  "[   12.345678] WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1",
  "[   12.345678] Call Trace:",
  "[   12.345678] Out of memory: Killed process 700 (stress-ng-vm)",
  "[   12.345678] block nbd0: Receive control failed (result -104)",
  "[   12.345678] block nbd0: Connection timed out",
  "[   12.345678] block nbd0: Dead connection, failed to find a fallback",
  "[   12.345678] Kernel panic - not syncing: Attempted to kill init!",
];

const GOOD: readonly string[] = [
  "[    1.760000] nbd0: detected capacity change from 0 to 2097152",
  "[    1.850000] Adding 1048572k swap on /dev/nbd0.  Priority:-2 extents:1 across:1048572k SSDcFS",
  "[   59.480000] block nbd0: NBD_DISCONNECT",
  "[   59.480000] block nbd0: Disconnected due to user request.",
  "[   59.480000] block nbd0: shutting down sockets",
  "[    1.280000] epollctl add err fd 13, Operation not permitted",
];

describe("the judge of the guest's kernel log", () => {
  test.each(BAD)("names %s", (line) => {
    expect(isKernelLine(line)).toBe(true);
    expect(kernelErrors([line])).toHaveLength(1);
  });

  test("has nothing against the lines of a good run", () => {
    expect(kernelErrors(GOOD)).toEqual([]);
  });

  test("a program's line is not the kernel's", () => {
    expect(isKernelLine("NSWAP-STEP load")).toBe(false);
  });
});
