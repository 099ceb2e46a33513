import { runSeed } from "../../src/sim/simulation.ts";

const [first = "1", count = "1", trace] = process.argv.slice(2);
const started = performance.now();
let simulated = 0;
let requests = 0;
let bad = 0;
let lost = 0;
for (let seed = Number(first); seed < Number(first) + Number(count); seed += 1) {
  const t = performance.now();
  if (process.env["V"]) console.log(`seed ${seed}`);
  const result = runSeed(seed, {}, {}, trace === "--trace" ? (line) => console.log(line) : undefined);
  simulated += result.simulatedMs;
  requests += result.answers;
  lost += result.lostReads;
  const ms = performance.now() - t;
  if (ms > 3000 || trace)
    console.log(`seed ${seed}: ${ms.toFixed(0)} ms, ${result.events} events, ${result.requests} requests`);
  if (result.violation !== undefined) {
    bad += 1;
    console.log(`seed ${seed} at ${result.violation.atMs.toFixed(1)}: ${result.violation.message}`);
  }
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `${count} seeds, ${bad} bad, ${(simulated / 1000).toFixed(0)} s simulated in ${seconds.toFixed(1)} s, ${requests} requests, ${lost} lost reads`,
);
