/** What must never appear in the guest's kernel log while it swaps, with a name for each. */
const BAD: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["I/O error", /I\/O error|Read-error on swap|Write-error on swap|blk_update_request/i],
  ["page allocation failure", /page allocation failure|allocation stall/i],
  ["hung task", /blocked for more than \d+ seconds|hung_task|soft lockup|hard lockup|rcu.*(stall|starved)/i],
  ["kernel bug", /\bBUG\b|\bOops\b|\bWARNING: |Call Trace|general protection|Kernel panic|Bad page state/],
  ["out of memory", /Out of memory|oom-kill|invoked oom-killer|Memory cgroup out of memory/i],
  ["nbd trouble", /nbd\d+: .*(timed out|Dead connection)/],
  ["nbd trouble", /nbd\d+: (Receive|Send|Request|Attempted|Other side|Wrong|Unexpected|Suspicious|Double)/],
  ["network trouble", /Incoming GSO frames|page_pool|TCP: out of memory/],
  ["swap trouble", /swap_free: |swap_dup: |Bad swap|Unused swap offset|get_swap_device: Bad/],
];

/** A line that the kernel wrote, as against one of a program: it starts with the time since boot. */
export function isKernelLine(line: string): boolean {
  return /^\[\s*\d+\.\d{6}\]/.test(line) || /^Kernel panic|^EIP:|^RIP:|^Call Trace/.test(line);
}

/** Each line of a kernel log that tells of an error, with the name of the error in front. Empty: the log is clean. */
export function kernelErrors(lines: readonly string[]): string[] {
  const errors: string[] = [];
  for (const line of lines) {
    const found = BAD.find(([, pattern]) => pattern.test(line));
    if (found) errors.push(`${found[0]}: ${line}`);
  }
  return errors;
}
