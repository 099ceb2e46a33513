import { readdirSync } from "node:fs";
import { Child, type ChildOptions, run } from "./child.ts";
import { isAbandoned, ownName, removeAbandonedFolders } from "./own-things.ts";
import type { Scope } from "./scope.ts";

/** Where programs outside the guest listen. */
export const HOST_ADDRESS = "10.78.0.1";
const KILL_ROUNDS_MAX = 50;

/**
 * A network namespace of this run's own, with a bridge at 10.78.0.1 and a tap device for each guest. Nothing in it
 * is seen outside, so that any number of runs go side by side.
 */
export class GuestNetwork {
  readonly name: string;
  #taps = 0;

  private constructor(name: string) {
    this.name = name;
  }

  /** Makes the namespace and has `scope` remove it, after ending every process in it. Needs root. */
  static async create(scope: Scope): Promise<GuestNetwork> {
    removeAbandonedFolders();
    await removeAbandonedNamespaces();
    const network = new GuestNetwork(ownName());
    await run("ip", ["netns", "add", network.name]);
    scope.defer(() => network.#remove());
    await network.#ip("link", "set", "lo", "up");
    await network.#ip("link", "add", "br0", "type", "bridge");
    await network.#ip("addr", "add", `${HOST_ADDRESS}/24`, "dev", "br0");
    await network.#ip("link", "set", "br0", "up");
    return network;
  }

  /** Makes a tap device on the bridge. `address` is for the guest's end, with its prefix length. */
  async tap(): Promise<{ device: string; address: string }> {
    const device = `t${++this.#taps}`;
    await this.#ip("tuntap", "add", device, "mode", "tap");
    await this.#ip("link", "set", device, "master", "br0", "up");
    return { device, address: `10.78.0.${this.#taps + 1}/24` };
  }

  /** Starts a program inside the namespace. */
  start(program: string, args: readonly string[], options: ChildOptions = {}): Child {
    return new Child("ip", ["netns", "exec", this.name, program, ...args], options);
  }

  #ip(...args: string[]): Promise<string> {
    return run("ip", ["-n", this.name, ...args]);
  }

  async #remove(): Promise<void> {
    for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
      const pids = await pidsIn(this.name);
      if (pids.length === 0) break;
      for (const pid of pids) killQuietly(pid);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await run("ip", ["netns", "del", this.name]);
  }
}

async function pidsIn(name: string): Promise<number[]> {
  const text = await run("ip", ["netns", "pids", name]);
  return text.split("\n").filter(Boolean).map(Number);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** Removes namespaces of earlier runs that were killed before they could: their maker is gone and they are empty. */
async function removeAbandonedNamespaces(): Promise<void> {
  for (const name of namespaces()) {
    if (!isAbandoned(name)) continue;
    if ((await pidsIn(name).catch(() => [0])).length === 0) {
      await run("ip", ["netns", "del", name]).catch(() => undefined);
    }
  }
}

function namespaces(): string[] {
  try {
    return readdirSync("/run/netns");
  } catch {
    return [];
  }
}
