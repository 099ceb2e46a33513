import { ConfigError, quote } from "../base/config-error.ts";
import { REDUNDANCIES, type Redundancy, type SimOptions } from "../sim/sim-options.ts";
import { runSeed, type SimResult } from "../sim/simulation.ts";
import type { Command } from "./command.ts";
import { Progress } from "./progress.ts";
import { parseWhole } from "./values.ts";

const SEEDS_DEFAULT = 100;
const wholeSeed = parseWhole(0, Number.MAX_SAFE_INTEGER);
const parseCount = parseWhole(1, 1_000_000_000);

/** What the command line asked for. */
interface Asked {
  readonly first: number;
  readonly count: number;
  readonly given: Partial<SimOptions>;
  /** The options beside the seed, as they are given again. */
  readonly again: string;
  readonly trace: boolean;
}

export const simCommand: Command = {
  name: "sim",
  describe: "simulate clusters and their misfortunes, and check that no guarantee breaks",
  options: {},
  configure: (yargs) =>
    yargs
      .option("seeds", {
        type: "string",
        requiresArg: true,
        describe: `N: how many runs (default ${SEEDS_DEFAULT})`,
      })
      .option("seed", {
        type: "string",
        requiresArg: true,
        describe: "S: the first run's seed; each run has the next one (default 1)",
      })
      .option("nodes", {
        type: "string",
        requiresArg: true,
        describe:
          "CLIENTS,SERVERS[,PARITY]: how many of each, 1 to 8, parity servers 0 to 4 (default: by the seed)",
      })
      .option("redundancy", {
        type: "string",
        requiresArg: true,
        describe: `${REDUNDANCIES.join(" | ")} (default: by the seed)`,
      })
      .option("trace", { type: "boolean", describe: "print what happens, by simulated milliseconds" })
      .example("$0 sim --seeds 1000", "a thousand runs")
      .example("$0 sim --seeds 1 --seed 42 --trace", "one run, step by step"),
  async run(commandLine, host) {
    const asked = readAsked(commandLine);
    const startedMs = performance.now();
    const sums = { failed: 0, simulatedMs: 0, requests: 0, faults: 0 };
    const progress = new Progress(host, asked.count, startedMs);
    for (let done = 0; done < asked.count; done += 1) {
      const seed = asked.first + done;
      const print = asked.trace ? (line: string) => host.print(`${line}\n`) : undefined;
      const result = runSeed(seed, asked.given, {}, print);
      sums.simulatedMs += result.simulatedMs;
      sums.requests += result.answers;
      sums.faults += result.faults;
      if (result.violation !== undefined) {
        sums.failed += 1;
        progress.clear();
        host.print(failureText(seed, asked, result));
      }
      if (!asked.trace) progress.show(done + 1, sums.failed, performance.now());
      // Lets what was printed go out, at the pace of who reads it, and signals in.
      await host.written();
      await new Promise((resolve) => setImmediate(resolve));
    }
    progress.clear();
    const seconds = (performance.now() - startedMs) / 1000;
    host.print(
      `${asked.count} runs, ${sums.failed} failed: ${Math.round(sums.simulatedMs / 1000)} s simulated in ` +
        `${seconds.toFixed(1)} s, ${sums.requests} requests answered, ${sums.faults} faults\n`,
    );
    return sums.failed === 0 ? 0 : 1;
  },
};

function failureText(seed: number, asked: Asked, { violation }: SimResult): string {
  const command = `nswap sim --seeds 1 --seed ${seed}${asked.again}`;
  const { atMs, message } = violation!;
  return `seed ${seed} failed at ${atMs.toFixed(3)} ms: ${message}\n  again: ${command} --trace\n`;
}

/** @throws ConfigError */
function readAsked(commandLine: Readonly<Record<string, unknown>>): Asked {
  const nodes = commandLine["nodes"] as string | undefined;
  const redundancy = commandLine["redundancy"] as string | undefined;
  const given: Partial<SimOptions> = {
    ...(nodes === undefined ? {} : parseNodes(nodes)),
    ...(redundancy === undefined ? {} : { redundancy: parseRedundancy(redundancy) }),
  };
  const { parityServers } = given;
  if (
    redundancy !== undefined &&
    parityServers !== undefined &&
    (redundancy === "parity") !== parityServers > 0
  ) {
    throw new ConfigError(
      "--redundancy",
      `${quote(redundancy)} does not go with ${parityServers} parity servers; accepted: parity with 1 or more`,
    );
  }
  const first = read("seed", commandLine, wholeSeed) ?? 1;
  const count = read("seeds", commandLine, parseCount) ?? SEEDS_DEFAULT;
  if (count - 1 > Number.MAX_SAFE_INTEGER - first) {
    const most = Number.MAX_SAFE_INTEGER - first + 1;
    throw new ConfigError(
      "--seeds",
      `${count} from --seed ${first} on is not accepted; accepted: up to ${most}`,
    );
  }
  return {
    first,
    count,
    given,
    again:
      (nodes === undefined ? "" : ` --nodes ${nodes}`) +
      (redundancy === undefined ? "" : ` --redundancy ${redundancy}`),
    trace: commandLine["trace"] === true,
  };
}

function read(
  name: string,
  commandLine: Readonly<Record<string, unknown>>,
  parse: (text: string) => number,
): number | undefined {
  const text = commandLine[name];
  if (text === undefined) return undefined;
  try {
    return parse(String(text));
  } catch (error) {
    throw new ConfigError(`--${name}`, (error as Error).message);
  }
}

function parseNodes(text: string): Partial<SimOptions> {
  const parts = /^([1-8]),([1-8])(?:,([0-4]))?$/.exec(text);
  if (parts === null) {
    throw new ConfigError(
      "--nodes",
      `${quote(text)} is not accepted; accepted: CLIENTS,SERVERS[,PARITY], 1 to 8 each, parity servers 0 to 4`,
    );
  }
  const counts = { clients: Number(parts[1]), servers: Number(parts[2]) };
  return parts[3] === undefined ? counts : { ...counts, parityServers: Number(parts[3]) };
}

function parseRedundancy(text: string): Redundancy {
  const redundancy = REDUNDANCIES.find((each) => each === text);
  if (redundancy !== undefined) return redundancy;
  throw new ConfigError(
    "--redundancy",
    `${quote(text)} is not accepted; accepted: ${REDUNDANCIES.join(", ")}`,
  );
}
