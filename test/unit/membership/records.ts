import { controlTiming } from "../../../src/base/control-limits.ts";
import { type Log, silentLog } from "../../../src/base/log.ts";
import { Prng } from "../../../src/base/prng.ts";
import type { GoneReason, MembershipPort } from "../../../src/membership/membership-port.ts";
import type { NodeRecord } from "../../../src/membership/node-record.ts";
import { PeerTable } from "../../../src/membership/peer-table.ts";

export function identityOf(n: number): string {
  return n.toString(16).padStart(32, "0");
}

/** A valid record of node n; fields given win. */
export function recordOf(n: number, fields: Partial<NodeRecord> = {}): NodeRecord {
  return {
    identity: identityOf(n),
    name: `node-${n}`,
    role: "server",
    generation: 1_000,
    heartbeat: 1,
    pid: 100 + n,
    data: `127.0.0.1:${20_000 + n}`,
    control: `127.0.0.1:${10_000 + n}`,
    state: "up",
    frames: { used: 1, free: 2, limit: 3 },
    ...fields,
  };
}

export class RecordingPort implements MembershipPort {
  readonly events: string[] = [];
  nodeUp(record: NodeRecord): void {
    this.events.push(`up ${record.name}`);
  }
  nodeChanged(record: NodeRecord): void {
    this.events.push(`changed ${record.name}`);
  }
  nodeGone(record: NodeRecord, why: GoneReason): void {
    this.events.push(`gone ${record.name} ${why}`);
  }
  /** The events since the last call. */
  take(): string[] {
    return this.events.splice(0);
  }
}

export function tableOf(options: { self?: NodeRecord; log?: Log; nodesMax?: number; seed?: number } = {}): {
  table: PeerTable;
  port: RecordingPort;
} {
  const port = new RecordingPort();
  const table = new PeerTable({
    self: options.self ?? recordOf(0),
    prng: new Prng(options.seed ?? 1),
    port,
    timing: controlTiming,
    log: options.log ?? silentLog,
    ...(options.nodesMax === undefined ? {} : { nodesMax: options.nodesMax }),
  });
  return { table, port };
}
