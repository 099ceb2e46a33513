import { missingRequirements } from "../../test/system/guest/requirements.ts";
import { Scope } from "../../test/system/guest/scope.ts";
import type { ClusterStatus } from "../../test/system/guest/status.ts";
import { runWay, type Way } from "../../test/system/guest/ways.ts";
import { closingTable } from "./closing-table.ts";
import { emptyPicture, frameLines, type Picture, plainLine, rateOf } from "./picture.ts";
import { Screen } from "./screen.ts";

const SERVERS = 5;
/** The memory server that is killed half-way. */
const VICTIM = "server-3";

const QUIET: Way = {
  kind: "gateway",
  servers: SERVERS,
  redundancy: "parity",
  memoryMiB: 256,
  times: 1.4,
  // stress-ng fills pages with one word, which stay in the client's map: no picture. The random load is what is seen.
  seconds: { stress: 0, random: 25 },
  timeoutMs: 300_000,
};
const WAY: Way = process.argv.includes("--no-kill")
  ? QUIET
  : {
      ...QUIET,
      incidents: [{ what: "kill", node: VICTIM, until: "protected" }],
      incidentsAfterSeconds: 10,
    };

/** What the guest's steps mean to somebody who sees them for the first time. */
const STEPS: Readonly<Record<string, string>> = {
  network: "the guest has booted",
  "swap device": "nbd-client, mkswap, swapon --discard=pages",
  load: "a process takes memory to hold until the end",
  "random access": "more memory than there is, written and checked at random",
  swapoff: "swapoff: every page left comes back, and is checked",
};

function drawing(): string {
  const load = Math.round(WAY.memoryMiB * WAY.times);
  return `
  +--------------------------+            +-----------+   pages    +----------+
  | a Linux guest            |            |           | ---------> | server-1 |
  | memory:  ${WAY.memoryMiB} MiB         |    NBD     |           | ---------> | server-2 |
  | load:    ${load} MiB         | ---------> |  gateway  | ---------> | server-3 |
  | swap:    /dev/nbd0       |    TCP     | (client)  | ---------> | server-4 |
  +--------------------------+            |           | ---------> | server-5 |
   a kernel of its own, stock             |           | ---------> | parity-1 |
   nbd driver, nothing of ours            +-----------+  TCP, key  +----------+
                                            Node.js, this machine, in a network
                                            namespace that ends with the demo
`;
}

async function main(): Promise<number> {
  const missing = missingRequirements();
  if (missing.length > 0) {
    console.error(`demo: this machine lacks ${missing.join(", ")}`);
    return 1;
  }
  const scope = new Scope();
  scope.closeOnSignals();
  try {
    return await show(scope);
  } catch (error) {
    // What was ended by a signal fails in many ways, none of them news.
    if (!scope.closing) console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await scope.close();
  }
}

async function show(scope: Scope): Promise<number> {
  console.log(drawing());
  const startMs = performance.now();
  const picture: Picture = emptyPicture(WAY.memoryMiB);
  const screen = new Screen(process.stdout);
  scope.defer(() => screen.end());
  const redraw = (): void => {
    picture.seconds = (performance.now() - startMs) / 1000;
    screen.show(frameLines(picture), plainLine(picture));
  };
  screen.say(
    `starting ${SERVERS} memory servers, a parity server and a client, with a cluster key of their own`,
  );
  const result = await runWay(scope, WAY, {
    onCluster: () => screen.say("the servers and the client know each other; booting the guest"),
    onStep: (step) => {
      picture.step = STEPS[step] ?? step;
      screen.say(`guest: ${picture.step}`);
    },
    onProgress: (progress) => {
      rateOf(picture, progress, performance.now());
      redraw();
    },
    onIncident: ({ node }) => {
      const used = picture.status?.nodes.find(({ name }) => name === node)?.frames.used ?? 0;
      picture.killed.set(node, used);
      screen.say(`kill -9 ${node}, which holds ${used.toLocaleString("en")} pages`);
      redraw();
    },
    onSettled: ({ node, seconds }) =>
      screen.say(`${seconds.toFixed(1)} s after ${node} was killed, every page is protected again`),
    onStatus: (status: ClusterStatus) => {
      picture.status = status;
      redraw();
    },
  });
  screen.end();
  if (scope.closing) return 1;
  console.log(closingTable(result, (performance.now() - startMs) / 1000).join("\n"));
  return result.wrong.length === 0 ? 0 : 1;
}

process.exitCode = await main();
