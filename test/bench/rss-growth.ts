import { residentBytes } from "../support/proc.ts";
import { runWorkload } from "./fio.ts";
import { clientTitle, type Target } from "./targets.ts";
import { workloads } from "./workloads.ts";

const MIB = 1024 * 1024;
/** Growth that the goal allows after the first minute. */
const GROWTH_BYTES_MAX = 8 * MIB;
const SETTLING_MS = 60_000;
const SAMPLE_EVERY_MS = 1_000;
const PROGRESS_EVERY_SAMPLES = 30;

export interface RssGrowth {
  readonly minutes: number;
  readonly iops: number;
  /** Largest resident size of the client within the first minute. */
  readonly firstMinuteMaxBytes: number;
  /** Largest resident size after it. */
  readonly laterMaxBytes: number;
  readonly growthBytes: number;
  readonly isMet: boolean;
  /** Resident size once a second. */
  readonly samplesBytes: readonly number[];
}

/** Keeps the target under full load (4 KiB, depth 32) and watches the resident size of its client process. */
export async function watchResidentSize(
  target: Target,
  sizeBytes: number,
  minutes: number,
  say: (line: string) => void,
): Promise<RssGrowth> {
  const client = target.processes().find(({ title }) => title === clientTitle);
  if (client === undefined) throw new Error(`${target.name} has no process "${clientTitle}" to watch`);
  const workload = workloads.find(({ name }) => name === "4k-d32")!;
  const samples: number[] = [];
  const timer = setInterval(() => {
    samples.push(residentBytes(client.pid));
    if (samples.length % PROGRESS_EVERY_SAMPLES === 0) {
      say(`${samples.length} s: client resident ${(samples.at(-1)! / MIB).toFixed(1)} MiB`);
    }
  }, SAMPLE_EVERY_MS);
  try {
    const { iops } = await runWorkload(target.uri, workload, sizeBytes, Math.round(minutes * 60));
    return judgeGrowth(minutes, iops, samples);
  } finally {
    clearInterval(timer);
  }
}

function judgeGrowth(minutes: number, iops: number, samplesBytes: readonly number[]): RssGrowth {
  if (samplesBytes.includes(0)) throw new Error("the client ended under the load");
  const settling = SETTLING_MS / SAMPLE_EVERY_MS;
  const later = samplesBytes.slice(settling);
  if (later.length === 0) throw new Error("no samples after the first minute: run for more than one minute");
  const firstMinuteMaxBytes = Math.max(...samplesBytes.slice(0, settling));
  const laterMaxBytes = Math.max(...later);
  const growthBytes = laterMaxBytes - firstMinuteMaxBytes;
  const isMet = growthBytes <= GROWTH_BYTES_MAX;
  return { minutes, iops, firstMinuteMaxBytes, laterMaxBytes, growthBytes, isMet, samplesBytes };
}

/** One line for people. */
export function growthInWords(growth: RssGrowth): string {
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  return (
    `client resident size under ${growth.minutes} min of full load (${growth.iops.toFixed(0)} IOPS): ` +
    `at most ${mib(growth.firstMinuteMaxBytes)} MiB in the first minute, ${mib(growth.laterMaxBytes)} MiB later; ` +
    `growth ${mib(growth.growthBytes)} MiB, goal at most ${mib(GROWTH_BYTES_MAX)} MiB: ` +
    (growth.isMet ? "pass" : "FAIL")
  );
}
