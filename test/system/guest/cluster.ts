import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { type GuestNetwork, HOST_ADDRESS, type Place } from "./network.ts";
import { temporaryFolder } from "./own-things.ts";
import { repositoryRoot } from "./root.ts";
import type { Scope } from "./scope.ts";
import { type ClusterStatus, parityServersOf, parseStatus, serversOf } from "./status.ts";

const READY_MS_MAX = 30_000;
const MEET_MS_MAX = 30_000;
const STATUS_MS_MAX = 10_000;
const PEERS_MAX = 3;
const READY = /^ready .*/;

export type Redundancy = "none" | "mirror" | "parity";

export interface ClusterOptions {
  readonly servers: number;
  /** Most memory each server lends. */
  readonly capacityMiB: number;
  /** Default none. */
  readonly parityServers?: number;
  /** Most memory each parity server lends. */
  readonly parityCapacityMiB?: number;
  /** Of the client; default none. */
  readonly redundancy?: Redundancy;
  /** Where the servers run; beside the client when left out. */
  readonly serversAt?: Place;
  readonly onLine?: (node: string, line: string) => void;
}

/** One running node of the cluster. Addresses are HOST:PORT. */
export interface ClusterNode {
  readonly name: string;
  readonly role: "server" | "parity" | "client";
  readonly child: Child;
  readonly control: string;
  /** Empty for a client. */
  readonly data: string;
}

/**
 * Memory servers, parity servers, and a gateway client when asked for, as real processes outside the guest, in its
 * network. All connections are authenticated with a cluster key of this run's own.
 */
export class OutsideCluster {
  readonly keyFile: string;
  gateway: (ClusterNode & { readonly nbdPort: number }) | undefined;
  /** By name; one that was killed is not among them until it is started again. */
  readonly #nodes = new Map<string, ClusterNode>();
  /** Nodes that were killed, by name. */
  readonly #killed = new Map<string, ClusterNode>();
  readonly #scope: Scope;
  readonly #network: GuestNetwork;
  readonly #options: ClusterOptions;

  private constructor(scope: Scope, network: GuestNetwork, options: ClusterOptions) {
    this.#scope = scope;
    this.#network = network;
    this.#options = options;
    const folder = temporaryFolder(scope);
    this.keyFile = join(folder, "cluster.key");
    writeFileSync(this.keyFile, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
  }

  /** Starts the memory servers and parity servers, the first known to all. Resolves when all are ready. */
  static async start(scope: Scope, network: GuestNetwork, options: ClusterOptions): Promise<OutsideCluster> {
    const cluster = new OutsideCluster(scope, network, options);
    for (let i = 1; i <= options.servers; i++) await cluster.#startStore(`server-${i}`, "server");
    for (let i = 1; i <= (options.parityServers ?? 0); i++)
      await cluster.#startStore(`parity-${i}`, "parity");
    return cluster;
  }

  /** Every node that should be running. */
  get nodes(): readonly ClusterNode[] {
    return [...this.#nodes.values()];
  }

  /** Starts a client that speaks NBD over TCP, and waits until it knows every server. */
  async startGateway(sizeMiB: number): Promise<void> {
    const args = ["--nbd", `${HOST_ADDRESS}:0`, "--size", `${sizeMiB}M`, ...this.#protecting()];
    const { node, ready } = await this.#startNode(this.#network, "gateway", "client", [
      "--control",
      `${HOST_ADDRESS}:0`,
      ...args,
    ]);
    const port = ready.get("nbd")?.match(/:(\d+)/)?.[1];
    if (port === undefined)
      throw new Error(`the gateway's ready line names no nbd port: ${node.child.tail.join("\n")}`);
    this.gateway = { ...node, nbdPort: Number(port) };
    await this.#untilAllKnown(this.gateway);
  }

  /** Ends a node with SIGKILL, as a machine that loses power; returns what it was. */
  async kill(name: string): Promise<ClusterNode> {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name} is running`);
    this.#nodes.delete(name);
    this.#killed.set(name, node);
    await node.child.kill();
    return node;
  }

  /** Starts a memory server or parity server that was killed, at its old addresses and with nothing in it. */
  async startAgain(name: string): Promise<ClusterNode> {
    const node = this.#killed.get(name);
    if (node === undefined || node.role === "client") throw new Error(`${name} is no server that was killed`);
    const again = await this.#startStore(name, node.role, node);
    this.#killed.delete(name);
    return again;
  }

  /** The command of a client that runs inside a guest of the same network, with recipe R's options for Node. */
  insideClientCommand(socket: string, sizeMiB: number): string[] {
    return [
      process.execPath,
      "--single-threaded-gc",
      "--min-semi-space-size=2",
      "--max-semi-space-size=2",
      programPath(),
      "client",
      "--name=guest",
      `--socket=${socket}`,
      `--size=${sizeMiB}M`,
      ...this.#protecting(),
      ...this.#peers(),
      `--key-file=${this.keyFile}`,
    ];
  }

  /** The cluster as the gateway (or the first server) sees it. */
  async status(node: ClusterNode = this.gateway ?? this.nodes[0]!): Promise<ClusterStatus> {
    const lines: string[] = [];
    const child = this.#network.start(
      process.execPath,
      [programPath(), "status", "--json", ...this.#asking(node)],
      { onLine: (line) => lines.push(line) },
    );
    const timer = setTimeout(() => child.signal("SIGKILL"), STATUS_MS_MAX);
    const how = await child.ended;
    clearTimeout(timer);
    if (how !== "exit 0") throw new Error(`${child.command}: ${how}\n${lines.join("\n")}`);
    return parseStatus(lines.join("\n"));
  }

  /** Follows the status, about once a second, until the child that is returned is stopped. */
  watch(onStatus: (status: ClusterStatus) => void): Child {
    const child = this.#network.start(
      process.execPath,
      [programPath(), "status", "--json", "--watch", ...this.#asking(this.gateway ?? this.nodes[0]!)],
      { onLine: (line) => line.startsWith("{") && onStatus(parseStatus(line)) },
    );
    this.#scope.defer(async () => void (await child.stop()));
    return child;
  }

  #asking(node: ClusterNode): string[] {
    return ["--control", node.control, "--key-file", this.keyFile];
  }

  #protecting(): string[] {
    return ["--redundancy", this.#options.redundancy ?? "none"];
  }

  #peers(): string[] {
    return this.nodes.slice(0, PEERS_MAX).flatMap((node) => ["--peer", node.control]);
  }

  async #startStore(name: string, role: "server" | "parity", before?: ClusterNode): Promise<ClusterNode> {
    const { capacityMiB, parityCapacityMiB, serversAt: place = this.#network } = this.#options;
    const mib = role === "parity" ? (parityCapacityMiB ?? capacityMiB) : capacityMiB;
    const { node } = await this.#startNode(place, name, role, [
      "--listen",
      before?.data ?? `${place.address}:0`,
      "--control",
      before?.control ?? `${place.address}:0`,
      "--capacity",
      `${mib}M`,
    ]);
    return node;
  }

  async #startNode(place: Place, name: string, role: ClusterNode["role"], args: readonly string[]) {
    const common = ["--name", name, "--key-file", this.keyFile, ...this.#peers()];
    const child = place.start(process.execPath, [programPath(), role, ...common, ...args], {
      onLine: (line) => this.#options.onLine?.(name, line),
    });
    this.#scope.defer(async () => void (await child.stop()));
    const [line] = await child.line(READY, READY_MS_MAX);
    const ready = wordsOf(line);
    const control = ready.get("control");
    if (control === undefined) throw new Error(`the ready line of ${name} names no control address`);
    const node: ClusterNode = { name, role, child, control, data: ready.get("data") ?? "" };
    this.#nodes.set(name, node);
    return { node, ready };
  }

  async #untilAllKnown(node: ClusterNode): Promise<void> {
    const wanted = this.#options.servers + (this.#options.parityServers ?? 0);
    const deadline = performance.now() + MEET_MS_MAX;
    for (;;) {
      const status = await this.status(node);
      const stores = [...serversOf(status), ...parityServersOf(status)];
      const up = stores.filter((server) => server.state === "up").length;
      if (up === wanted) return;
      if (performance.now() > deadline) {
        throw new Error(`${node.name} knows ${up} of ${wanted} servers after ${MEET_MS_MAX} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}

/** The built program. */
export function programPath(): string {
  return join(repositoryRoot(), "dist/bin/nswap.js");
}

function wordsOf(line: string): Map<string, string> {
  return new Map(
    line
      .split(" ")
      .filter((word) => word.includes("="))
      .map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
  );
}
