// Kills, stops and restarts servers of a cluster of real processes under a verifying load.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const usage = `usage: npm run test:chaos -- [--minutes N] [--seed S] [--redundancy none|mirror|parity]

  --minutes N     how long servers are harmed with --redundancy parity; the other modes take less (default 1)
  --seed S        the order of the faults; a failure says which one it was
  --redundancy R  only this mode
`;

function parse() {
  const text = { type: "string" };
  const options = { minutes: text, seed: text, redundancy: text, help: { type: "boolean", short: "h" } };
  const { values } = parseArgs({ options });
  const minutes = Number(values.minutes ?? 1);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: accepted is a number above 0`);
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  if (seed !== undefined && !Number.isInteger(seed))
    throw new Error(`--seed ${values.seed}: accepted is a whole number`);
  const { redundancy } = values;
  if (redundancy !== undefined && !["none", "mirror", "parity"].includes(redundancy))
    throw new Error(`--redundancy ${redundancy}: accepted are none, mirror and parity`);
  return { minutes, seed, redundancy, help: values.help };
}

let options;
try {
  options = parse();
} catch (error) {
  process.stderr.write(`${error.message}\n${usage}`);
  process.exit(1);
}
if (options.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const env = { ...process.env, CHAOS_SECONDS: String(options.minutes * 60) };
if (options.seed !== undefined) env.CHAOS_SEED = String(options.seed);
if (options.redundancy !== undefined) env.CHAOS_REDUNDANCY = options.redundancy;
const { status } = spawnSync("npx", ["vitest", "run", "--project", "chaos"], { env, stdio: "inherit" });
process.exitCode = status ?? 1;
