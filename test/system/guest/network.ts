import { readdirSync } from "node:fs";
import { shapeOf } from "../../support/link-shape.ts";
import { Child, type ChildOptions, run } from "./child.ts";
import { isAbandoned, ownName, removeAbandonedFolders } from "./own-things.ts";
import type { Scope } from "./scope.ts";

/** Where programs outside the guest listen. */
export const HOST_ADDRESS = "10.78.0.1";
/** Where those listen that a link lies in front of. */
const FAR_ADDRESS = "10.78.0.250";
const KILL_ROUNDS_MAX = 50;

/** A machine of the network: where programs run, and the address that they are reached at. */
export interface Place {
  readonly address: string;
  start(program: string, args: readonly string[], options?: ChildOptions): Child;
}

/**
 * A network namespace of this run's own, with a bridge at 10.78.0.1 and a tap device for each guest. Nothing in it
 * is seen outside, so that any number of runs go side by side.
 */
export class GuestNetwork implements Place {
  readonly name: string;
  readonly address = HOST_ADDRESS;
  #taps = 0;

  private constructor(name: string) {
    this.name = name;
  }

  /** Makes the namespace and has `scope` remove it, after ending every process in it. Needs root. */
  static async create(scope: Scope): Promise<GuestNetwork> {
    removeAbandonedFolders();
    await removeAbandonedNamespaces();
    const network = new GuestNetwork(ownName());
    await addNamespace(scope, network.name);
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

  /** Makes another machine, at the far end of a link of so many megabits a second each way, until `scope` ends it. */
  async farPlace(scope: Scope, mbitPerSecond: number): Promise<Place> {
    const far = ownName();
    await addNamespace(scope, far);
    await this.#ip("link", "add", "far", "type", "veth", "peer", "name", "near", "netns", far);
    await run("ip", ["-n", far, "addr", "add", `${FAR_ADDRESS}/24`, "dev", "near"]);
    await run("ip", ["-n", far, "link", "set", "near", "up"]);
    await this.#ip("link", "set", "far", "master", "br0", "up");
    await run("tc", ["-n", this.name, ...shapeOf("far", mbitPerSecond)]);
    await run("tc", ["-n", far, ...shapeOf("near", mbitPerSecond)]);
    return { address: FAR_ADDRESS, start: (...all) => startIn(far, ...all) };
  }

  /** Starts a program inside the namespace. */
  start(program: string, args: readonly string[], options?: ChildOptions): Child {
    return startIn(this.name, program, args, options);
  }

  #ip(...args: string[]): Promise<string> {
    return run("ip", ["-n", this.name, ...args]);
  }
}

/** Makes a namespace and has `scope` remove it, after ending every process in it. */
async function addNamespace(scope: Scope, name: string): Promise<void> {
  await run("ip", ["netns", "add", name]);
  scope.defer(() => removeNamespace(name));
  await run("ip", ["-n", name, "link", "set", "lo", "up"]);
}

async function removeNamespace(name: string): Promise<void> {
  for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
    const pids = await pidsIn(name);
    if (pids.length === 0) break;
    for (const pid of pids) killQuietly(pid);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await run("ip", ["netns", "del", name]);
}

function startIn(name: string, program: string, args: readonly string[], options: ChildOptions = {}): Child {
  return new Child("ip", ["netns", "exec", name, program, ...args], options);
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
