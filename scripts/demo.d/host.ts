import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { programPath } from "../../test/system/guest/cluster.ts";

const READY_MS_MAX = 60_000;
/** The free reserve that receiving from a network needs while memory is short; what is more is left alone. */
const MIN_FREE_KIB = 65536;
const SIZE = "1G";
const CAPACITY = "320M";

/** Where a cluster that is left running keeps its things. */
interface Place {
  readonly folder: string;
  readonly socket: string;
  readonly log: string;
  readonly pidFile: string;
}

function placeOf(): Place {
  const user = userInfo();
  const folder = user.uid === 0 ? "/run/nswap-demo" : join(tmpdir(), `nswap-demo-${user.uid}`);
  return {
    folder,
    socket: join(folder, "nswap.sock"),
    log: join(folder, "cluster.log"),
    pidFile: join(folder, "cluster.pid"),
  };
}

/** The process id of a cluster that an earlier run left, if it still runs our program. */
function runningCluster(place: Place): number | undefined {
  try {
    const pid = Number(readFileSync(place.pidFile, "utf8"));
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return command.includes(programPath()) && command.includes("local") ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Starts the cluster in the background; resolves with its process id and ready line. */
async function startCluster(place: Place): Promise<{ pid: number; ready: string }> {
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  const log = openSync(place.log, "w", 0o600);
  const args = ["local", "--servers", "4", "--capacity", CAPACITY, "--size", SIZE, "--socket", place.socket];
  const child = spawn(process.execPath, [programPath(), ...args], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  let ended: string | undefined;
  child.on("error", (error) => {
    ended = error.message;
  });
  child.on("exit", (code, signal) => {
    ended = `it ended with ${signal ?? code}`;
  });
  const deadline = performance.now() + READY_MS_MAX;
  for (;;) {
    const ready = readFileSync(place.log, "utf8").match(/^ready .*$/m)?.[0];
    if (ready !== undefined && child.pid !== undefined) {
      writeFileSync(place.pidFile, `${child.pid}\n`);
      child.unref();
      return { pid: child.pid, ready };
    }
    if (ended !== undefined || performance.now() > deadline) {
      if (ended === undefined) child.kill("SIGTERM");
      const said = readFileSync(place.log, "utf8").split("\n").slice(-20).join("\n");
      throw new Error(
        `the cluster did not start: ${ended ?? `not ready in ${READY_MS_MAX / 1000} s`}\n${said}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The control address in the cluster's ready line. */
function controlOf(place: Place): string {
  const control = readFileSync(place.log, "utf8").match(/^ready .*\bcontrol=(\S+)/m)?.[1];
  if (control === undefined) throw new Error(`${place.log} has no ready line with a control address`);
  return control;
}

function commands(place: Place, pid: number): string {
  const minFree = Math.max(MIN_FREE_KIB, Number(sysctl("vm/min_free_kbytes")) || 0);
  const root = userInfo().uid === 0 ? "" : " (as root)";
  return `
  To look at it:
    node ${programPath()} status --watch --control ${controlOf(place)}
    tail -f ${place.log}

  WARNING. A machine that swaps over a program of its own can FREEZE when memory gets short: the program needs
  memory to free memory. It is safe only when the client is protected: a cgroup with memory.swap.max=0 and
  memory.min, oom_score_adj -1000, a real-time class, PR_SET_IO_FLUSHER, a free reserve (below), warmed up before
  swapon. This cluster is NOT protected that way; and all its memory is this machine's own. Try it on a machine
  that you can restart, with a small load. The safe way is a gateway: the client on another machine.

  To let this machine swap over it${root}:
    sysctl -w vm.watermark_boost_factor=0         # was: ${sysctl("vm/watermark_boost_factor")}
    sysctl -w vm.min_free_kbytes=${minFree}            # was: ${sysctl("vm/min_free_kbytes")}
    apt-get install nbd-client
    modprobe nbd
    nbd-client -unix ${place.socket} /dev/nbd0 -b 4096
    mkswap /dev/nbd0
    swapon --discard=pages /dev/nbd0

  To undo it all, in this order (swapoff FIRST, or whatever is in swap is lost with its processes):
    swapoff /dev/nbd0
    nbd-client -d /dev/nbd0
    kill ${pid}
    sysctl -w vm.watermark_boost_factor=${sysctl("vm/watermark_boost_factor")}
    sysctl -w vm.min_free_kbytes=${sysctl("vm/min_free_kbytes")}
`;
}

function sysctl(path: string): string {
  try {
    return readFileSync(`/proc/sys/${path}`, "utf8").trim();
  } catch {
    return "unknown";
  }
}

async function main(): Promise<number> {
  const place = placeOf();
  let pid = runningCluster(place);
  if (pid !== undefined) {
    console.log(`> the cluster of an earlier run is still there: process ${pid}, log ${place.log}`);
  } else {
    console.log(
      `> starting 4 memory servers, a parity server and a client with a device of ${SIZE}: nswap local`,
    );
    const started = await startCluster(place);
    pid = started.pid;
    console.log(`> ${started.ready}`);
    console.log(`> left running: process ${pid} (${place.pidFile}), log ${place.log}`);
  }
  console.log(commands(place, pid));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
