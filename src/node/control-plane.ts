import { randomBytes } from "node:crypto";
import { type ControlTiming, controlTiming } from "../base/control-limits.ts";
import { type HostPort, parseHostPort } from "../base/host-port.ts";
import type { Log } from "../base/log.ts";
import { Prng } from "../base/prng.ts";
import { advertisedAddress } from "../io/advertised-address.ts";
import type { ClusterKey } from "../io/cluster-key.ts";
import type { ChannelHandler, ControlChannel } from "../io/control/channel.ts";
import { ControlError } from "../io/control/control-error.ts";
import { ControlServer } from "../io/control/control-server.ts";
import { Gossiper } from "../io/control/gossiper.ts";
import type { Purpose } from "../io/control/handshake.ts";
import type { ControlMessage } from "../io/control/message.ts";
import { packageVersion } from "../io/package-version.ts";
import type { MembershipPort } from "../membership/membership-port.ts";
import { metricsText } from "../membership/metrics.ts";
import type {
  ClientFigures,
  FrameCounts,
  NodeRecord,
  NodeRole,
  ScrubFigures,
  SelfState,
} from "../membership/node-record.ts";
import { parseNodeRecord } from "../membership/parse-record.ts";
import { PeerTable } from "../membership/peer-table.ts";
import type { StatusDocument } from "../membership/status-document.ts";
import { warnOfLoopbackName } from "./address-policy.ts";
import { bindAs } from "./bind-as.ts";

/** A node's figures, pulled at each heartbeat and for each status. */
export interface SelfReport {
  /** `host:port` as bound (a wildcard host is replaced before others are told), or null without a data port. */
  readonly data: string | null;
  readonly frames: FrameCounts;
  readonly draining: boolean;
  readonly client?: ClientFigures;
  readonly scrub?: ScrubFigures;
}

export interface ControlPlaneOptions {
  readonly listen: HostPort;
  readonly key?: ClusterKey | undefined;
  readonly seeds: readonly HostPort[];
  readonly self: () => SelfReport;
  readonly name: string;
  readonly role: NodeRole;
  /** 32 hexadecimal digits, random for each process (`newIdentity()`). */
  readonly identity: string;
  readonly log: Log;
  readonly port: MembershipPort;
  /** Begins a check of all groups; left out by what is no parity server. */
  readonly scrub?: () => void;
  /** Start of the process in ms since the epoch; default now. */
  readonly generation?: number;
  /** Shorter times for tests. */
  readonly timing?: Partial<ControlTiming>;
}

/** A fresh random identity for a process. */
export function newIdentity(): string {
  return randomBytes(16).toString("hex");
}

/** A node's control plane: its control port, its peer table and the gossip between it and others. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #server: ControlServer;
  readonly #table: PeerTable;
  readonly #gossiper: Gossiper;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #channels = new Set<ControlChannel>();
  #left = false;
  #closed = false;

  private constructor(options: ControlPlaneOptions, timing: ControlTiming, server: ControlServer) {
    this.#options = options;
    this.#server = server;
    const prng = new Prng(randomBytes(4).readUInt32LE());
    const { log, port } = options;
    this.#table = new PeerTable({ self: this.#firstRecord(), prng, port, timing, log });
    this.#gossiper = new Gossiper({
      ...{ table: this.#table, seeds: options.seeds, key: options.key ?? null, prng, timing, log },
    });
    this.#heartbeat = setInterval(() => this.#beat(), timing.heartbeatMs);
    this.#beat();
  }

  /**
   * Binds the control port and begins to look for the seeds; returns without waiting for them.
   * @throws ConfigError if the port cannot be bound, ControlError or InvalidRecordError for wrong options
   */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const timing = { ...controlTiming, ...options.timing };
    let plane: ControlPlane | null = null;
    const ready = (): ControlPlane => {
      if (plane === null) throw new ControlError("CLOSED", "the node is still starting");
      return plane;
    };
    const listening = ControlServer.listen({
      listen: options.listen,
      key: options.key ?? null,
      timing,
      log: options.log,
      pages: {
        metrics: () => ready().metrics(),
        statusJson: () => `${JSON.stringify(ready().status())}\n`,
      },
      accept: (purpose, channel) => ready().#accept(purpose, channel),
    });
    const server = await bindAs("--control", listening);
    warnOfLoopbackName("--control", options.listen, server.address, options.log);
    try {
      plane = new ControlPlane(options, timing, server);
      return plane;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** The bound address of the control port. */
  get address(): HostPort {
    return this.#server.address;
  }

  /** The address of the control port that others are told. */
  get advertised(): string {
    return this.#table.self.control;
  }

  /** The cluster as this node sees it, with its own figures as of now. */
  status(): StatusDocument {
    this.#refreshSelf();
    const seen = this.#table.nodes();
    const clients = seen.flatMap(({ record }) => record.client ?? []);
    const suspects = new Set(clients.flatMap((client) => client.suspects));
    const nodes = seen.map(({ record, state: heard }) => {
      const { name, role, pid, data, control, frames, scrub } = record;
      const state = heard === "up" && role !== "client" && suspects.has(name) ? "suspect" : heard;
      return { name, role, state, pid, data, control, frames, ...(scrub === undefined ? {} : { scrub }) };
    });
    return { self: this.#options.name, nodes, clients };
  }

  /** The same as Prometheus text. */
  metrics(): string {
    this.#refreshSelf();
    return metricsText(this.#table.nodes(), { version: packageVersion(), node: process.versions.node });
  }

  /** Tells others that this node leaves (for at most `leaveMs`), then closes. */
  async leave(): Promise<void> {
    if (this.#closed || this.#left) return;
    this.#left = true;
    clearInterval(this.#heartbeat);
    this.#refreshSelf();
    await this.#gossiper.farewell();
    await this.close();
  }

  /** Ends at once; others find out by the missing heartbeats. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#gossiper.close();
    for (const channel of this.#channels) channel.close();
    await this.#server.close();
  }

  #beat(): void {
    const { data, control } = this.#table.self;
    this.#refreshSelf();
    const { self } = this.#table;
    // Others are to hear of it before somebody else has the old address.
    if (self.data !== data || self.control !== control) this.#gossiper.reconnect();
    const nowMs = performance.now();
    this.#table.tick(nowMs);
    this.#gossiper.beat(nowMs);
  }

  #refreshSelf(): void {
    const report = this.#options.self();
    const { client, scrub } = report;
    const state: SelfState = this.#left ? "left" : report.draining ? "draining" : "up";
    this.#table.beat({ ...report, ...this.#addresses(report, this.#table.self), state, client, scrub });
  }

  /** What others are told of this node's addresses; a machine's own may come, go and change while it runs. */
  #addresses({ data }: SelfReport, before?: NodeRecord): { data: string | null; control: string } {
    const address = (bound: HostPort, told?: string | null) => advertisedAddress(bound, told ?? undefined);
    return {
      data: data === null ? null : address(parseHostPort(data), before?.data),
      control: address(this.#server.address, before?.control),
    };
  }

  #firstRecord(): NodeRecord {
    const { identity, name, role, self, generation } = this.#options;
    const report = self();
    return parseNodeRecord({
      ...{ identity, name, role, generation: generation ?? Date.now(), heartbeat: 0, pid: process.pid },
      ...{ ...this.#addresses(report), state: "up" },
      ...{ frames: report.frames, client: report.client, scrub: report.scrub },
    });
  }

  #accept(purpose: Purpose, channel: () => ControlChannel): ChannelHandler {
    let watch: NodeJS.Timeout | null = null;
    return {
      message: (message) => {
        this.#channels.add(channel());
        if (message.t === "subscribe") {
          if (watch !== null) throw new ControlError("PROTOCOL", "subscribed twice on one connection");
          watch = setInterval(() => {
            // A watcher that is behind misses an update rather than piling them up.
            if (channel().isDrained) this.#sendStatus(channel(), message.id);
          }, message.everyMs);
          this.#sendStatus(channel(), message.id);
        } else {
          this.#answer(purpose, channel(), message);
        }
      },
      closed: () => {
        if (watch !== null) clearInterval(watch);
        this.#channels.delete(channel());
      },
    };
  }

  #answer(purpose: Purpose, channel: ControlChannel, message: ControlMessage): void {
    if (message.t === "status") {
      this.#sendStatus(channel, message.id);
    } else if (message.t === "scrub" && purpose === "operator") {
      const { scrub } = this.#options;
      scrub?.();
      channel.send({ t: "scrub-reply", id: message.id, begun: scrub !== undefined });
    } else if (message.t === "gossip" && purpose === "peer") {
      const merged = this.#table.merge(message.nodes, performance.now());
      if (merged.problem !== null) {
        const { refused: count, problem } = merged;
        this.#options.log.warn("records of a peer's table refused", { from: message.from, count, problem });
      }
      const from = this.#options.identity;
      channel.send({ t: "gossip-reply", id: message.id, from, nodes: this.#table.toGossip() });
    } else {
      throw new ControlError("PROTOCOL", `a ${message.t} message is not for this connection`);
    }
  }

  #sendStatus(channel: ControlChannel, id: number): void {
    channel.send({ t: "status-reply", id, document: this.status() });
  }
}
