import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { type GuestNetwork, HOST_ADDRESS } from "./network.ts";
import { temporaryFolder } from "./own-things.ts";
import { repositoryRoot } from "./root.ts";
import type { Scope } from "./scope.ts";
import { type ClusterStatus, parseStatus, serversOf } from "./status.ts";

const READY_MS_MAX = 30_000;
const MEET_MS_MAX = 30_000;
const STATUS_MS_MAX = 10_000;
const READY = /^ready .*/;

export interface ClusterOptions {
  readonly servers: number;
  /** Most memory each server lends. */
  readonly capacityMiB: number;
  readonly onLine?: (node: string, line: string) => void;
}

/** One running node of the cluster. Addresses are HOST:PORT. */
export interface ClusterNode {
  readonly name: string;
  readonly child: Child;
  readonly control: string;
}

/**
 * Memory servers, and a gateway client when asked for, as real processes outside the guest, in its network. All
 * connections are authenticated with a cluster key of this run's own.
 */
export class OutsideCluster {
  readonly keyFile: string;
  readonly servers: ClusterNode[] = [];
  gateway: (ClusterNode & { readonly nbdPort: number }) | undefined;
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

  /** Starts the memory servers, each knowing only the first. Resolves when all are ready. */
  static async start(scope: Scope, network: GuestNetwork, options: ClusterOptions): Promise<OutsideCluster> {
    const cluster = new OutsideCluster(scope, network, options);
    for (let index = 1; index <= options.servers; index++) await cluster.#startServer(`server-${index}`);
    return cluster;
  }

  /** Starts a client that speaks NBD over TCP, and waits until it knows every server. */
  async startGateway(sizeMiB: number): Promise<void> {
    const { child, ready } = await this.#startNode("gateway", "client", [
      "--nbd",
      `${HOST_ADDRESS}:0`,
      "--size",
      `${sizeMiB}M`,
      "--peer",
      this.firstControl,
    ]);
    const port = ready.get("nbd")?.match(/:(\d+)/)?.[1];
    if (port === undefined)
      throw new Error(`the gateway's ready line names no nbd port: ${child.tail.join("\n")}`);
    this.gateway = { name: "gateway", child, control: controlOf(ready, "gateway"), nbdPort: Number(port) };
    await this.#untilAllKnown(this.gateway);
  }

  /** The control address that every other node is told. */
  get firstControl(): string {
    return this.servers[0]!.control;
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
      `--peer=${this.firstControl}`,
      `--key-file=${this.keyFile}`,
    ];
  }

  /** The cluster as the gateway (or the first server) sees it. */
  async status(node: ClusterNode = this.gateway ?? this.servers[0]!): Promise<ClusterStatus> {
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
      [programPath(), "status", "--json", "--watch", ...this.#asking(this.gateway ?? this.servers[0]!)],
      { onLine: (line) => line.startsWith("{") && onStatus(parseStatus(line)) },
    );
    this.#scope.defer(async () => void (await child.stop()));
    return child;
  }

  #asking(node: ClusterNode): string[] {
    return ["--control", node.control, "--key-file", this.keyFile];
  }

  async #startServer(name: string): Promise<void> {
    const { child, ready } = await this.#startNode(name, "server", [
      "--listen",
      `${HOST_ADDRESS}:0`,
      "--capacity",
      `${this.#options.capacityMiB}M`,
      ...(this.servers.length > 0 ? ["--peer", this.firstControl] : []),
    ]);
    this.servers.push({ name, child, control: controlOf(ready, name) });
  }

  async #startNode(name: string, role: string, args: readonly string[]) {
    const common = ["--name", name, "--control", `${HOST_ADDRESS}:0`, "--key-file", this.keyFile];
    const child = this.#network.start(process.execPath, [programPath(), role, ...common, ...args], {
      onLine: (line) => this.#options.onLine?.(name, line),
    });
    this.#scope.defer(async () => void (await child.stop()));
    const [line] = await child.line(READY, READY_MS_MAX);
    return { child, ready: wordsOf(line) };
  }

  async #untilAllKnown(node: ClusterNode): Promise<void> {
    const deadline = performance.now() + MEET_MS_MAX;
    for (;;) {
      const servers = serversOf(await this.status(node));
      const up = servers.filter((server) => server.state === "up").length;
      if (up === this.#options.servers) return;
      if (performance.now() > deadline) {
        throw new Error(
          `${node.name} knows ${up} of ${this.#options.servers} servers after ${MEET_MS_MAX} ms`,
        );
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

function controlOf(ready: Map<string, string>, name: string): string {
  const control = ready.get("control");
  if (control === undefined) throw new Error(`the ready line of ${name} names no control address`);
  return control;
}
