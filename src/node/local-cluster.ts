import { formatHostPort, type HostPort, parseHostPort } from "../base/host-port.ts";
import type { Log } from "../base/log.ts";
import type { ClusterKey } from "../io/cluster-key.ts";
import type { NodeRole, RedundancyName } from "../membership/node-record.ts";
import type { StatusDocument } from "../membership/status-document.ts";
import { ChildNode, describeExit, type ProgramCommand } from "./child-node.ts";
import type { LogFormat } from "./log.ts";
import type { ClientOptions } from "./options.ts";
import type { ReadyLine, RunningNode } from "./running-node.ts";
import { StatusClient } from "./status-client.ts";

/** A whole cluster on this machine. */
export interface LocalOptions {
  readonly name: string;
  readonly servers: number;
  /** Parity servers. */
  readonly parity: number;
  /** Of each server, parity servers included. */
  readonly capacityBytes: number;
  readonly reserveBytes?: number;
  readonly respawn: boolean;
  readonly keyFile?: string;
  readonly insecure: boolean;
  readonly log: LogFormat;
  readonly control: HostPort;
  readonly client: Pick<ClientOptions, "sizeBytes" | "socketPath" | "nbd" | "exportName" | "groupSize"> & {
    readonly redundancy: RedundancyName;
  };
}

export interface LocalHost {
  readonly program: ProgramCommand;
  readonly key: ClusterKey | null;
  readonly log: Log;
  /** A line that a node wrote. */
  line(label: string, text: string): void;
  /** Shorter for tests. */
  readonly startMsMax?: number;
}

interface Member {
  readonly role: NodeRole;
  readonly label: string;
  child: ChildNode;
  /** Null until its first life is ready. */
  ready: ReadyLine | null;
  startedAtMs: number;
  failures: number;
}

const startMsMaxDefault = 60_000;
const lookEveryMs = 100;
const respawnMsMin = 500;
const respawnMsMax = 30_000;
/** Who lived this long died of something new. */
const settledMs = 60_000;
const anyPort = "127.0.0.1:0";

/** Starts the nodes of a local cluster as child processes and keeps watch over them. */
export class LocalCluster implements RunningNode {
  readonly ended: Promise<void>;
  readonly #options: LocalOptions;
  readonly #host: LocalHost;
  readonly #members: Member[] = [];
  readonly #respawns = new Set<NodeJS.Timeout>();
  #ending = false;
  #settle!: { end(): void; fail(error: Error): void };

  private constructor(options: LocalOptions, host: LocalHost) {
    this.#options = options;
    this.#host = host;
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { end: resolve, fail: reject };
    });
    this.ended.catch(() => {});
  }

  /**
   * Resolves once every node is up and sees every other one, and the client is linked to the servers that it uses.
   * If that fails, nothing is left running and the error
   * says who was at fault.
   */
  static async start(options: LocalOptions, host: LocalHost): Promise<LocalCluster> {
    const cluster = new LocalCluster(options, host);
    try {
      const first = await cluster.#launch("server", "server-1");
      const rest = Array.from({ length: options.servers - 1 }, (_, n) =>
        cluster.#launch("server", `server-${n + 2}`),
      );
      const parity = Array.from({ length: options.parity }, (_, n) =>
        cluster.#launch("parity", `parity-${n + 1}`),
      );
      await Promise.all([first, ...rest, ...parity]);
      await cluster.#launch("client", "client");
      await cluster.#untilAllSeeAll();
    } catch (error) {
      await cluster.#killAll();
      throw error;
    }
    for (const member of cluster.#members) cluster.#watch(member);
    return cluster;
  }

  get ready(): ReadyLine {
    const client = this.#members.find((member) => member.role === "client");
    if (!client?.ready) throw new Error("the local cluster has no client");
    const { control, nbd, nbdTcp } = client.ready;
    const { name } = this.#options;
    return { role: "local", name, control, ...(nbd ? { nbd } : {}), ...(nbdTcp ? { nbdTcp } : {}) };
  }

  /** Ends the client, then the parity servers, then the memory servers, each in order. */
  async drain(): Promise<void> {
    this.#beginEnd();
    for (const role of ["client", "parity", "server"] as const) {
      const children = this.#members.filter((member) => member.role === role).map((member) => member.child);
      for (const child of children) child.kill("SIGTERM");
      await Promise.all(children.map((child) => child.exited));
    }
    this.#settle.end();
  }

  stop(): void {
    this.#beginEnd();
    void this.#killAll().then(() => this.#settle.end());
  }

  #beginEnd(): void {
    this.#ending = true;
    for (const timer of this.#respawns) clearTimeout(timer);
    this.#respawns.clear();
  }

  async #killAll(): Promise<void> {
    this.#ending = true;
    for (const { child } of this.#members) child.kill("SIGKILL");
    await Promise.all(this.#members.map((member) => member.child.exited));
  }

  async #launch(role: Member["role"], label: string): Promise<void> {
    const child = new ChildNode(
      label,
      this.#host.program,
      this.#arguments(role, label, null),
      this.#host.line,
    );
    const member: Member = {
      role,
      label,
      child,
      ready: null,
      startedAtMs: performance.now(),
      failures: 0,
    };
    // Known from here on, so that it is ended with the others whatever happens.
    this.#members.push(member);
    member.ready = await this.#untilReady(child);
  }

  async #untilReady(child: ChildNode): Promise<ReadyLine> {
    const deadlineMs = this.#host.startMsMax ?? startMsMaxDefault;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), deadlineMs);
    });
    const ready = await Promise.race([child.ready, late]);
    clearTimeout(timer);
    if (ready === "late")
      throw new Error(`${child.label} (pid ${child.pid}) was not ready within ${deadlineMs} ms`);
    if (ready !== null) return ready;
    const exit = await child.exited;
    throw new Error(`${child.label} (pid ${child.pid}) ended before it was ready: ${describeExit(exit)}`);
  }

  /** @param before the ready line of the node's last life, whose addresses it takes up again */
  #arguments(role: Member["role"], label: string, before: ReadyLine | null): string[] {
    const { keyFile, insecure, log, control, capacityBytes, reserveBytes } = this.#options;
    const args = [role, "--name", label, "--log", log];
    if (keyFile !== undefined) args.push("--key-file", keyFile);
    if (insecure) args.push("--insecure");
    for (const peer of this.#peersOf(label)) args.push("--peer", peer);
    if (role !== "client") {
      args.push("--listen", before?.data ?? anyPort, "--control", before?.control ?? anyPort);
      args.push("--capacity", String(capacityBytes));
      if (reserveBytes !== undefined) args.push("--reserve", String(reserveBytes));
    } else {
      args.push("--control", before?.control ?? formatHostPort(control), ...this.#clientArguments(before));
    }
    return args;
  }

  /** A few living nodes that a starting one is told of. */
  #peersOf(label: string): string[] {
    const others = this.#members.filter((member) => member.label !== label && !member.child.isGone);
    return others.flatMap((member) => member.ready?.control ?? []).slice(0, 3);
  }

  #clientArguments(before: ReadyLine | null): string[] {
    const { sizeBytes, socketPath, nbd, exportName, redundancy, groupSize } = this.#options.client;
    const args = ["--size", String(sizeBytes), `--export=${exportName}`];
    args.push("--redundancy", redundancy, "--group-size", String(groupSize));
    if (socketPath !== undefined) args.push("--socket", socketPath);
    const uri = [before?.nbdTcp, before?.nbd].find((text) => text?.startsWith("nbd://"));
    if (nbd !== undefined) args.push("--nbd", uri === undefined ? formatHostPort(nbd) : new URL(uri).host);
    return args;
  }

  #watch(member: Member): void {
    const { child } = member;
    void child.exited.then((exit) => {
      if (this.#ending) return;
      const how = describeExit(exit);
      this.#host.log.error("a node died", {
        node: member.label,
        pid: exit.pid,
        how,
        respawn: this.#options.respawn,
      });
      if (this.#options.respawn) this.#respawnLater(member);
      else if (this.#members.every((other) => other.child.isGone)) {
        this.#settle.fail(new Error("every node of the local cluster has died"));
      }
    });
  }

  #respawnLater(member: Member): void {
    if (performance.now() - member.startedAtMs > settledMs) member.failures = 0;
    const waitMs = Math.min(respawnMsMin * 2 ** Math.min(member.failures, 10), respawnMsMax);
    member.failures++;
    const timer = setTimeout(() => {
      this.#respawns.delete(timer);
      void this.#respawn(member);
    }, waitMs);
    this.#respawns.add(timer);
  }

  async #respawn(member: Member): Promise<void> {
    const args = this.#arguments(member.role, member.label, member.ready);
    member.child = new ChildNode(member.label, this.#host.program, args, this.#host.line);
    member.startedAtMs = performance.now();
    this.#watch(member);
    const ready = await member.child.ready;
    if (ready === null) return;
    member.ready = ready;
    this.#host.log.info("the node is up again", { node: member.label, pid: member.child.pid });
  }

  async #untilAllSeeAll(): Promise<void> {
    const deadlineMs = performance.now() + (this.#host.startMsMax ?? startMsMaxDefault);
    for (const member of this.#members) {
      for (;;) {
        const problem = await this.#problemOf(member);
        if (problem === null) break;
        const dead = this.#members.find((other) => other.child.isGone);
        if (dead) throw new Error(`${dead.label} died: ${describeExit(await dead.child.exited)}`);
        if (performance.now() > deadlineMs) throw new Error(`${member.label} ${problem}`);
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    }
  }

  /** What a node still lacks, null if nothing. */
  async #problemOf(member: Member): Promise<string | null> {
    let client: StatusClient | null = null;
    try {
      if (member.ready === null) return "is not ready";
      client = await StatusClient.connect(parseHostPort(member.ready.control), this.#host.key);
      const status = await client.status();
      return this.#unseenIn(status) ?? (member.role === "client" ? this.#unlinkedIn(status) : null);
    } catch (error) {
      return `does not answer: ${(error as Error).message}`;
    } finally {
      client?.close();
    }
  }

  #unseenIn({ nodes }: StatusDocument): string | null {
    const up = new Set(nodes.filter((node) => node.state === "up").map((node) => node.name));
    const missing = this.#members.map(({ label }) => label).filter((label) => !up.has(label));
    return missing.length === 0 ? null : `does not see ${missing.join(", ")}`;
  }

  #unlinkedIn({ clients }: StatusDocument): string | null {
    const { parity, servers } = this.#options;
    const links = clients[0]?.links ?? { servers: 0, parity: 0 };
    const wanted = this.#options.client.redundancy === "parity" ? parity : 0;
    if (links.servers >= servers && links.parity >= wanted) return null;
    return `is linked to ${links.servers} of ${servers} memory servers, ${links.parity} of ${wanted} parity servers`;
  }
}
