import { spawn, spawnSync } from "node:child_process";
import { shapeOf } from "../support/link-shape.ts";
import type { NodePlace } from "../support/node-cluster.ts";
import { UsageError } from "./arguments.ts";

/** Set in a process that has a network of its own: its loopback is down, and nothing else is there. */
const INSIDE = "NSWAP_BENCH_NETWORK";
const CLIENT_ADDRESS = "10.79.0.1";
const SERVERS_ADDRESS = "10.79.0.2";

/** True in a process that `inOwnNetwork` has started. */
export const isInOwnNetwork = (): boolean => process.env[INSIDE] !== undefined;

/**
 * Runs this program once more with the same arguments, in a network of its own that ends with it. Gives its status.
 * `unshare` without a fork becomes that program, so signals reach it.
 */
export function inOwnNetwork(): Promise<number> {
  if (process.getuid?.() !== 0) throw new UsageError("--link makes network namespaces: it is for root alone");
  const command = ["--net", process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn("unshare", command, { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } });
  process.on("exit", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => resolve(status ?? 1));
  });
}

/** The machine of the servers and that of the client, with a link of a stated rate, each way, between the two. */
export class Link {
  readonly #servers = `nswap-bench-${process.pid}`;

  /** In this process's own network, for all of its life; the servers' namespace is removed when it ends. */
  constructor(mbitPerSecond: number) {
    const servers = this.#servers;
    ip("link", "set", "lo", "up");
    ip("netns", "add", servers);
    process.once("exit", () => spawnSync("ip", ["netns", "del", servers]));
    ip("link", "add", "client", "type", "veth", "peer", "name", "servers", "netns", servers);
    const ends = [
      { inside: [], device: "client", address: CLIENT_ADDRESS },
      { inside: ["-n", servers], device: "servers", address: SERVERS_ADDRESS },
    ];
    for (const { inside, device, address } of ends) {
      ip(...inside, "address", "add", `${address}/24`, "dev", device);
      ip(...inside, "link", "set", device, "up");
      run("tc", [...inside, ...shapeOf(device, mbitPerSecond)]);
    }
    ip("-n", servers, "link", "set", "lo", "up");
  }

  /** Where a node runs. */
  placeOf(role: "server" | "parity" | "client"): NodePlace {
    if (role === "client") return { host: CLIENT_ADDRESS, prefix: [] };
    return { host: SERVERS_ADDRESS, prefix: ["ip", "netns", "exec", this.#servers] };
  }
}

const ip = (...args: string[]): void => run("ip", args);

function run(command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}
