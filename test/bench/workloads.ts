/** One kind of load that fio puts on every target. */
export interface Workload {
  readonly name: string;
  /** fio's `rw`. */
  readonly pattern: "randrw" | "randread" | "randwrite";
  readonly blockBytes: number;
  /** Requests under way on each connection. */
  readonly depth: number;
  /** Connections, each of a process of fio's own. */
  readonly connections: number;
  /** Part of the run unless `--only` names others. */
  readonly isDefault: boolean;
}

const KIB = 1024;

const byDefault = { connections: 1, isDefault: true };
const onRequest = { connections: 1, isDefault: false };

export const workloads: readonly Workload[] = [
  { name: "4k-d1", pattern: "randrw", blockBytes: 4 * KIB, depth: 1, ...byDefault },
  { name: "4k-d32", pattern: "randrw", blockBytes: 4 * KIB, depth: 32, ...byDefault },
  { name: "4k-d16x2", pattern: "randrw", blockBytes: 4 * KIB, depth: 16, connections: 2, isDefault: true },
  { name: "128k-d16", pattern: "randrw", blockBytes: 128 * KIB, depth: 16, ...byDefault },
  { name: "4k-d1-read", pattern: "randread", blockBytes: 4 * KIB, depth: 1, ...onRequest },
  { name: "4k-d1-write", pattern: "randwrite", blockBytes: 4 * KIB, depth: 1, ...onRequest },
  { name: "4k-d32-read", pattern: "randread", blockBytes: 4 * KIB, depth: 32, ...byDefault },
  { name: "4k-d32-write", pattern: "randwrite", blockBytes: 4 * KIB, depth: 32, ...byDefault },
  { name: "128k-d16-read", pattern: "randread", blockBytes: 128 * KIB, depth: 16, ...onRequest },
  { name: "128k-d16-write", pattern: "randwrite", blockBytes: 128 * KIB, depth: 16, ...onRequest },
];
