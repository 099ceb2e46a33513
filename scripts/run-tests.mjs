// Runs the kinds of tests one after the other, counts what they report, and closes with one line.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const total = { passed: 0, failed: 0, skipped: 0 };
/** What failed, told again at the end: the output is long, and often only its end is kept. */
const failures = [];
const ci = process.env.CI === "true";
const scratch = mkdtempSync(path.join(tmpdir(), "nswap-test-"));
let running;
/** What runs is ended, and nothing more is begun. */
let interrupted = false;

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    interrupted = true;
    running?.kill(signal);
  });
}

function say(text) {
  console.log(`\n=== ${text}`);
}

/** Runs a command with its output shown; resolves to its exit status. */
function run(command, args) {
  return new Promise((resolve) => {
    if (interrupted) return resolve(1);
    running = spawn(command, args, { stdio: "inherit" });
    running.on("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    running.on("exit", (code) => resolve(code ?? 1));
  });
}

/** One step that passes or fails as a whole. */
async function step(title, command, args) {
  say(`${title}: ${[command, ...args].join(" ")}`);
  const status = await run(command, args);
  if (status === 0) total.passed += 1;
  else fail(`${title}: ${[command, ...args].join(" ")} ended with status ${status}`);
}

function fail(text) {
  total.failed += 1;
  failures.push(text);
}

/** One vitest project; its own counts are added. In CI a test that did not run is a failure. */
async function project(name, title) {
  say(title);
  const file = path.join(scratch, `${name}.json`);
  process.env.TEST_REPORT_FILE = file;
  const status = await run("npx", [
    "vitest",
    "run",
    "--project",
    name,
    "--reporter=default",
    "--reporter=./scripts/test-report.mjs",
  ]);
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    fail(`${name}: no report was written`);
    return;
  }
  const { passed, failures: failed, notRun } = report;
  total.passed += passed;
  for (const failure of failed) fail(failure);
  if (ci) for (const test of notRun) fail(`${test}: did not run`);
  else total.skipped += notRun.length;
  if (status !== 0 && failed.length === 0) fail(`${name}: vitest ended with status ${status}`);
  if (passed + failed.length + notRun.length === 0) fail(`${name}: no tests were found`);
}

/** A seed of the commit's own, so that every change visits new histories. */
function seedOfCommit() {
  const head = spawnSync("git", ["rev-parse", "--short=8", "HEAD"], { encoding: "utf8" });
  return head.status === 0 ? String(Number.parseInt(head.stdout.trim(), 16)) : "1";
}

const startedMs = Date.now();
await step("style", "npx", ["biome", "check", "."]);
await step("types", "npx", ["tsc", "-p", "tsconfig.json"]);
await project("unit", "unit tests, and a simulation of fixed seeds");
await step("simulation, fixed seeds", "node", ["dist/bin/nswap.js", "sim", "--seeds", "100", "--seed", "1"]);
await step("simulation, the commit's seeds", "node", [
  "dist/bin/nswap.js",
  "sim",
  "--seeds",
  "100",
  "--seed",
  seedOfCommit(),
]);
await project("interop", "foreign NBD clients, and abuse");
await project("chaos", "real processes that are killed, stopped and restarted under a verifying load");
await project("package", "the packages, installed as a user would");
await project("system", "real kernels that swap");
rmSync(scratch, { recursive: true, force: true });
if (failures.length > 0) say("what failed");
for (const failure of failures) console.log(`- ${failure}`);
console.log(`\ntook ${Math.round((Date.now() - startedMs) / 1000)} s`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
