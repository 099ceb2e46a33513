import { readFileSync } from "node:fs";

/**
 * The processor to keep a guest on. A guest's kernel and its processes are processes here that take turns: on one
 * processor a page fault costs a third of what it does where each turn wakes another one.
 */
export function guestProcessor(status: string = readFileSync("/proc/self/status", "utf8")): string {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  const last = allowed?.split(/[,-]/).at(-1);
  if (last === undefined || !/^\d+$/.test(last)) throw new Error("/proc/self/status names no processor");
  return last;
}
