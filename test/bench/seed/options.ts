import { chosen, numberIn, valuesOf } from "../arguments.ts";
import { type DeviceName, deviceNames } from "./devices.ts";
import { type WorkName, workNames } from "./works.ts";

export interface SeedOptions {
  readonly rounds: number;
  readonly memoryMiB: number;
  readonly works: readonly WorkName[];
  readonly devices: readonly DeviceName[];
  /** Megabits a second, each way, of the link in front of a cluster's servers; 0 for none. */
  readonly linkMbit: number;
  /** Less work than a measurement needs. */
  readonly quick: boolean;
  readonly outputDirectory: string;
}

export const usage = `npm run bench:seed -- [options]      (as root)
  --rounds N         rounds over all workloads and devices (default 3)
  --memory MIB       memory of the guest (default 256)
  --workloads LIST   by commas: ${workNames.join(", ")} (default all)
  --devices LIST     by commas: ${deviceNames.join(", ")} (default all)
  --link MBIT        the servers of a cluster at the far end of a link of so many megabits a second each way: there
                     bytes cost what they cost on a network (default 0: none); goes to seed-link.md
  --quick            one round of little work in a guest of 128 MiB: shows that everything runs, measures nothing
  --output DIR       where seed.md, seed.json and seed.svg go (default bench-results)
  --help`;

const options = {
  rounds: { type: "string", default: "3" },
  memory: { type: "string" },
  workloads: { type: "string" },
  devices: { type: "string" },
  link: { type: "string", default: "0" },
  quick: { type: "boolean" },
  output: { type: "string", default: "bench-results" },
  help: { type: "boolean" },
} as const;

/** Parses the command line. Throws UsageError, with what was given and what is accepted. */
export function parseOptions(argv: readonly string[]): SeedOptions | "help" {
  const values = valuesOf(argv, options);
  if (values.help) return "help";
  const quick = values.quick === true;
  return {
    rounds: quick ? 1 : numberIn("--rounds", values.rounds, 1, 1000, true),
    memoryMiB: numberIn("--memory", values.memory ?? (quick ? "128" : "256"), 128, 4096, true),
    works: chosen("--workloads", values.workloads, workNames, workNames, (name) => name),
    devices: chosen("--devices", values.devices, deviceNames, deviceNames, (name) => name),
    linkMbit: numberIn("--link", values.link, 0, 1_000_000, true),
    quick,
    outputDirectory: values.output,
  };
}
