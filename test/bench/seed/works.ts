import type { Work } from "../../system/guest/job.ts";

export const workNames = ["sweep", "random", "sort"] as const;
export type WorkName = (typeof workNames)[number];

export const workTitles: Record<WorkName, readonly [short: string, long: string]> = {
  sweep: ["sequential sweeps", "every page of the memory in order, again and again, changed at each visit"],
  random: ["random access", "pages at random, every second one changed"],
  sort: [
    "sort",
    "GNU sort of a file of lines of 1 KiB; the file lies in memory (tmpfs), and so does what sort reads of it",
  ],
};

const MIB = 1024 * 1024;
/** Memory used against the guest's: what does not fit is swapped. */
const TIMES = 1.4;
const QUICK_TIMES = 1.2;
/** Memory of sort, the file in tmpfs included, against the file's size. */
const SORT_TIMES = 2.05;
/** The same content every time, so that results can be compared. */
const SEED = 20_030_826;

/** What a work uses, against the guest's memory. */
export const timesOf = (quick: boolean): number => (quick ? QUICK_TIMES : TIMES);

/** The work for a guest of this memory; `quick` for as little as still swaps. */
export function workOf(name: WorkName, memoryMiB: number, quick: boolean): Work {
  const used = Math.floor(memoryMiB * timesOf(quick));
  const mib = name === "sort" ? Math.floor(used / SORT_TIMES) : used;
  return {
    kind: name,
    bytes: mib * MIB,
    sweeps: quick ? 1 : 2,
    accesses: quick ? 5_000 : 40_000,
    seed: SEED,
  };
}
