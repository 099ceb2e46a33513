import type { ClientFigures } from "../../src/membership/node-record.ts";
import type { StatusDocument } from "../../src/membership/status-document.ts";
import type { ReadyLine } from "../../src/node/running-node.ts";
import { parseReadyLine } from "../../src/node/running-node.ts";
import { Child } from "./child.ts";
import { built } from "./local-cluster.ts";

const MIB = 1024 * 1024;
const START_MS = 60_000;
const HTTP_MS = 10_000;

/** Where a node runs: an address of its machine, and what is put before its command line to run it there. */
export interface NodePlace {
  readonly host: string;
  readonly prefix: readonly string[];
}

const HERE: NodePlace = { host: "127.0.0.1", prefix: [] };

export interface NodeClusterOptions {
  readonly servers: number;
  readonly parity: number;
  readonly sizeBytes: number;
  /** Of each memory server and each parity server. */
  readonly capacityBytes: number;
  readonly socketPath: string;
  readonly redundancy: "none" | "mirror" | "parity";
  readonly groupSize?: number;
  /** On loopback when left out. */
  readonly placeOf?: (role: ClusterNode["role"]) => NodePlace;
}

/** One node, in its present life. */
export interface ClusterNode {
  readonly name: string;
  readonly role: "server" | "parity" | "client";
  child: Child;
  ready: ReadyLine;
}

/** The nodes of a cluster as processes of their own, so that each can be ended and started again. */
export class NodeCluster {
  readonly nodes: ClusterNode[] = [];
  readonly #options: NodeClusterOptions;
  /** Children that are ended on purpose; any other that ends is a fault. */
  readonly #children = new Set<Child>();

  private constructor(options: NodeClusterOptions) {
    this.#options = options;
  }

  /** Resolves once all nodes are up and linked. If that fails nothing is left running. */
  static async start(options: NodeClusterOptions): Promise<NodeCluster> {
    const cluster = new NodeCluster(options);
    try {
      for (let n = 1; n <= options.servers; n += 1) await cluster.#add("server", `server-${n}`);
      for (let n = 1; n <= options.parity; n += 1) await cluster.#add("parity", `parity-${n}`);
      await cluster.#add("client", "client");
      await cluster.untilLinked();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get client(): ClusterNode {
    return this.nodes.find((node) => node.role === "client")!;
  }

  /** Servers of both kinds. */
  get servers(): ClusterNode[] {
    return this.nodes.filter((node) => node.role !== "client");
  }

  node(name: string): ClusterNode {
    return this.nodes.find((node) => node.name === name)!;
  }

  /** What `nswap status --json` prints, from the client's point of view. */
  async status(): Promise<StatusDocument> {
    const url = `http://${this.client.ready.control}/status`;
    const response = await fetch(url, { signal: AbortSignal.timeout(HTTP_MS) });
    return (await response.json()) as StatusDocument;
  }

  async clientFigures(): Promise<ClientFigures> {
    const { clients } = await this.status();
    const figures = clients.find((client) => client.name === "client");
    if (figures === undefined) throw new Error("the client does not know itself");
    return figures;
  }

  /** Polls the client's figures until `holds`; throws when time runs out or a node ends unasked. */
  async until(
    what: string,
    holds: (figures: ClientFigures, status: StatusDocument) => boolean,
    timeoutMs: number,
    intervalMs?: number,
  ): Promise<void> {
    let last: ClientFigures | undefined;
    const look = async () => {
      this.checkAlive();
      const status = await this.status();
      last = status.clients.find((client) => client.name === "client");
      return last !== undefined && holds(last, status) ? true : undefined;
    };
    try {
      await this.client.child.until(what, look, timeoutMs, intervalMs);
    } catch (error) {
      throw new Error(`${what}: last figures ${JSON.stringify(last)}`, { cause: error });
    }
  }

  /** The client has links to all servers that run, in their present lives. */
  async untilLinked(): Promise<void> {
    await this.until(
      "links to all servers",
      ({ links }, { nodes }) => {
        const alive = this.servers.filter((node) => node.child.isRunning);
        const count = (role: string) => alive.filter((node) => node.role === role).length;
        const seen = ({ name, child }: ClusterNode) =>
          nodes.some((node) => node.name === name && node.pid === child.pid && node.state === "up");
        // Parity servers are linked to where they are needed.
        const parity = this.#options.redundancy === "parity" ? count("parity") : 0;
        return alive.every(seen) && links.servers === count("server") && links.parity >= parity;
      },
      START_MS,
    );
  }

  /** Throws if a node ended that nobody ended. */
  checkAlive(): void {
    for (const child of this.#children) {
      if (child.isRunning) continue;
      throw new Error(`ended on its own: ${child.title}\n${child.stdout}${child.stderr}`);
    }
  }

  /** Sends a signal to a node. After SIGKILL and SIGTERM it is gone when this resolves. */
  async signal(name: string, signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): Promise<void> {
    const { child } = this.node(name);
    const ends = signal === "SIGKILL" || signal === "SIGTERM";
    if (ends) this.#children.delete(child);
    // `stop` sends its own SIGTERM, and a second one would end the node at once.
    if (signal !== "SIGTERM") process.kill(child.pid, signal);
    if (ends) await child.stop();
  }

  /** Starts a node that is gone again, empty, at its old addresses. */
  async startAgain(name: string): Promise<void> {
    const node = this.node(name);
    node.child = this.#spawn(node.role, name, node.ready);
    node.ready = await readyOf(node.child);
  }

  /** What a node has said, for reports of faults. */
  logOf(name: string): string {
    return this.node(name).child.stderr;
  }

  async stop(): Promise<void> {
    const children = this.nodes.map((node) => node.child).reverse();
    this.#children.clear();
    for (const child of children) {
      if (child.isRunning) process.kill(child.pid, "SIGCONT");
      await child.stop();
    }
  }

  async #add(role: ClusterNode["role"], name: string): Promise<void> {
    const child = this.#spawn(role, name);
    const node: ClusterNode = { name, role, child, ready: { role, name, control: "" } };
    this.nodes.push(node);
    node.ready = await readyOf(child);
  }

  #spawn(role: ClusterNode["role"], name: string, before?: ReadyLine): Child {
    const { sizeBytes, capacityBytes, socketPath, redundancy, groupSize, placeOf } = this.#options;
    const { host, prefix } = placeOf?.(role) ?? HERE;
    const args = [...prefix, process.execPath, built("bin/nswap.js"), role, "--name", name, "--log", "json"];
    args.push("--control", before?.control ?? `${host}:0`);
    if (host !== HERE.host) args.push("--insecure");
    const peers = this.nodes.filter((node) => node.name !== name && node.child.isRunning);
    for (const peer of peers.slice(0, 3)) args.push("--peer", peer.ready.control);
    if (role === "client") {
      args.push("--size", String(sizeBytes), "--socket", socketPath, "--redundancy", redundancy);
      if (groupSize !== undefined) args.push("--group-size", String(groupSize));
    } else {
      args.push("--listen", before?.data ?? `${host}:0`);
      args.push("--capacity", String(capacityBytes), "--reserve", String(64 * MIB));
    }
    const child = new Child(args[0]!, args.slice(1));
    this.#children.add(child);
    return child;
  }
}

async function readyOf(child: Child): Promise<ReadyLine> {
  return child.until("its ready line", () => readyIn(child.stdout), START_MS);
}

function readyIn(stdout: string): ReadyLine | undefined {
  const lines = stdout.split("\n").slice(0, -1);
  return lines.map(parseReadyLine).find((ready) => ready !== null) ?? undefined;
}
