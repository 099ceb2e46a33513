import { runTool } from "../support/child.ts";
import type { Workload } from "./workloads.ts";

/** What fio measured in one run. */
export interface FioFigures {
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly operations: number;
  readonly bytes: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Processor time that fio itself used. */
  readonly fioCpuSeconds: number;
}

/**
 * Every write carries fresh random bytes: nothing is same-filled, compressible or repeated, so a target
 * that shortcuts such pages gains nothing here.
 */
const INCOMPRESSIBLE = ["--refill_buffers", "--randrepeat=0", "--dedupe_percentage=0"];

const GRACE_MS = 60_000;

/** Writes the whole device once with random bytes, so that no read is of a page that was never written. */
export async function prefill(uri: string, sizeBytes: number): Promise<void> {
  const load = ["--rw=write", "--bs=128k", "--iodepth=16", `--size=${sizeBytes}`];
  await fio(uri, load, 10 * GRACE_MS);
}

/** Discards the whole device, as `swapon --discard=pages` does before its first page. */
export async function discard(uri: string, sizeBytes: number): Promise<void> {
  await fio(uri, ["--rw=trim", "--bs=1m", "--iodepth=4", `--size=${sizeBytes}`], 10 * GRACE_MS);
}

/** Puts one workload on the device behind `uri` for `seconds`. Throws, with fio's words, on any I/O error. */
export async function runWorkload(
  uri: string,
  workload: Workload,
  sizeBytes: number,
  seconds: number,
): Promise<FioFigures> {
  const load = [
    `--rw=${workload.pattern}`,
    `--bs=${workload.blockBytes}`,
    `--iodepth=${workload.depth}`,
    `--numjobs=${workload.connections}`,
    "--group_reporting",
    `--size=${sizeBytes}`,
    "--time_based",
    `--runtime=${seconds}`,
    "--norandommap",
  ];
  return fio(uri, load, seconds * 1000 + GRACE_MS);
}

interface FioReport {
  jobs: {
    error: number;
    usr_cpu: number;
    sys_cpu: number;
    job_runtime: number;
    mixed: {
      iops: number;
      bw_bytes: number;
      total_ios: number;
      io_bytes: number;
      lat_ns: { mean: number; percentile: Record<string, number> };
    };
  }[];
}

async function fio(uri: string, load: readonly string[], timeoutMs: number): Promise<FioFigures> {
  const args = [
    "--name=bench",
    "--ioengine=nbd",
    `--uri=${uri}`,
    ...load,
    ...INCOMPRESSIBLE,
    "--unified_rw_reporting=1",
    "--lat_percentiles=1",
    "--clat_percentiles=0",
    "--percentile_list=50:99",
    "--output-format=json",
  ];
  const result = await runTool("fio", args, { timeoutMs });
  const job = parseReport(result.stdout)?.jobs[0];
  if (result.status !== 0 || job === undefined || job.error !== 0 || !(job.mixed.total_ios > 0)) {
    throw new Error(`fio failed (status ${result.status}) on ${uri}\n${result.stdout}${result.stderr}`);
  }
  const { mixed } = job;
  return {
    iops: mixed.iops,
    bytesPerSecond: mixed.bw_bytes,
    operations: mixed.total_ios,
    bytes: mixed.io_bytes,
    meanUs: mixed.lat_ns.mean / 1000,
    p50Us: mixed.lat_ns.percentile["50.000000"]! / 1000,
    p99Us: mixed.lat_ns.percentile["99.000000"]! / 1000,
    fioCpuSeconds: (((job.usr_cpu + job.sys_cpu) / 100) * job.job_runtime) / 1000,
  };
}

/** fio may print notes before its JSON. */
function parseReport(stdout: string): FioReport | undefined {
  try {
    return JSON.parse(stdout.slice(stdout.indexOf("{"))) as FioReport;
  } catch {
    return undefined;
  }
}
