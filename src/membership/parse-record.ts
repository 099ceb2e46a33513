import { controlLimits } from "../base/control-limits.ts";
import {
  asAddress,
  asCount,
  asIdentity,
  asName,
  asObject,
  asOneOf,
  InvalidRecordError,
} from "../base/foreign-fields.ts";
import type {
  ClientFigures,
  FrameCounts,
  NodeRecord,
  NodeRole,
  RecoveryFigures,
  RedundancyName,
  ScrubFigures,
  SelfState,
  TrafficFigures,
} from "./node-record.ts";

const roles: readonly NodeRole[] = ["server", "parity", "client"];
const states: readonly SelfState[] = ["up", "draining", "left"];
const recoveryStates: readonly RecoveryFigures["state"][] = ["idle", "rebuilding", "reprotecting"];
const scrubStates: readonly ScrubFigures["state"][] = ["idle", "running"];
const redundancies: readonly RedundancyName[] = ["none", "mirror", "parity"];

export function asFrames(value: unknown, what: string): FrameCounts {
  const fields = asObject(value, what);
  return {
    used: asCount(fields["used"], `${what}.used`),
    free: asCount(fields["free"], `${what}.free`),
    limit: asCount(fields["limit"], `${what}.limit`),
  };
}

export function asRole(value: unknown, what: string): NodeRole {
  return asOneOf(value, roles, what);
}

/** A copy of a foreign value with exactly the fields of a client's figures. Throws InvalidRecordError. */
export function parseClientFigures(value: unknown, what = "client"): ClientFigures {
  const fields = asObject(value, what);
  const slots = asObject(fields["slots"], `${what}.slots`);
  const pages = asObject(fields["pages"], `${what}.pages`);
  const requests = asObject(fields["requests"], `${what}.requests`);
  return {
    name: asName(fields["name"], `${what}.name`),
    redundancy: asOneOf(fields["redundancy"], redundancies, `${what}.redundancy`),
    sizeBytes: asCount(fields["sizeBytes"], `${what}.sizeBytes`),
    slots: {
      mapped: asCount(slots["mapped"], `${what}.slots.mapped`),
      sameFilled: asCount(slots["sameFilled"], `${what}.slots.sameFilled`),
      onDisk: asCount(slots["onDisk"], `${what}.slots.onDisk`),
    },
    pages: {
      live: asCount(pages["live"], `${what}.pages.live`),
      dead: asCount(pages["dead"], `${what}.pages.dead`),
      unprotected: asCount(pages["unprotected"], `${what}.pages.unprotected`),
      lost: asCount(pages["lost"], `${what}.pages.lost`),
    },
    requests: {
      inFlight: asCount(requests["inFlight"], `${what}.requests.inFlight`),
      errors: asCount(requests["errors"], `${what}.requests.errors`),
    },
    traffic: parseTraffic(fields["traffic"], `${what}.traffic`),
    recovery: parseRecovery(fields["recovery"], `${what}.recovery`),
    links: parseServersAndParity(fields["links"], `${what}.links`),
    suspects: parseSuspects(fields["suspects"], `${what}.suspects`),
    roomNeeded: parseServersAndParity(fields["roomNeeded"], `${what}.roomNeeded`),
  };
}

/** Idle where the sender, an older one, says nothing of it. */
function parseRecovery(value: unknown, what: string): RecoveryFigures {
  const fields = asObject(value ?? { state: "idle", done: 0, total: 0 }, what);
  return {
    state: asOneOf(fields["state"], recoveryStates, `${what}.state`),
    done: asCount(fields["done"], `${what}.done`),
    total: asCount(fields["total"], `${what}.total`),
  };
}

/** All 0 where the sender, an older one, says nothing of it. */
function parseServersAndParity(value: unknown, what: string): { servers: number; parity: number } {
  const fields = asObject(value ?? { servers: 0, parity: 0 }, what);
  return {
    servers: asCount(fields["servers"], `${what}.servers`),
    parity: asCount(fields["parity"], `${what}.parity`),
  };
}

function parseSuspects(value: unknown, what: string): readonly string[] {
  const names = value ?? [];
  if (!Array.isArray(names) || names.length > controlLimits.suspectsMax) {
    throw new InvalidRecordError(`${what} is not a list of at most ${controlLimits.suspectsMax}`);
  }
  return names.map((name) => asName(name, what));
}

/** A copy of a foreign value with exactly the fields of a parity server's figures. Throws InvalidRecordError. */
export function parseScrubFigures(value: unknown, what: string): ScrubFigures {
  const fields = asObject(value, what);
  const count = (key: Exclude<keyof ScrubFigures, "state">) => asCount(fields[key], `${what}.${key}`);
  return {
    state: asOneOf(fields["state"], scrubStates, `${what}.state`),
    ...{ done: count("done"), total: count("total"), scrubbed: count("scrubbed") },
    ...{ skipped: count("skipped"), mismatches: count("mismatches"), passes: count("passes") },
    // 0 where the sender is an older one.
    unreachable: asCount(fields["unreachable"] ?? 0, `${what}.unreachable`),
  };
}

/** All 0 where the sender, an older one, says nothing of it. */
function parseTraffic(value: unknown, what: string): TrafficFigures {
  const fields = asObject(value ?? {}, what);
  const count = (key: keyof TrafficFigures) => asCount(fields[key] ?? 0, `${what}.${key}`);
  return {
    pagesOut: count("pagesOut"),
    pagesIn: count("pagesIn"),
    messagesSent: count("messagesSent"),
    messagesAsking: count("messagesAsking"),
    bytesSent: count("bytesSent"),
  };
}

/** A copy of a foreign value with exactly the fields of a NodeRecord. Throws InvalidRecordError. */
export function parseNodeRecord(value: unknown): NodeRecord {
  const fields = asObject(value, "node");
  const { client, scrub } = fields;
  return {
    identity: asIdentity(fields["identity"], "node.identity"),
    name: asName(fields["name"], "node.name"),
    role: asRole(fields["role"], "node.role"),
    generation: asCount(fields["generation"], "node.generation"),
    heartbeat: asCount(fields["heartbeat"], "node.heartbeat"),
    pid: asCount(fields["pid"], "node.pid"),
    data: fields["data"] === null ? null : asAddress(fields["data"], "node.data"),
    control: asAddress(fields["control"], "node.control"),
    state: asOneOf(fields["state"], states, "node.state"),
    frames: asFrames(fields["frames"], "node.frames"),
    ...(client === undefined || client === null ? {} : { client: parseClientFigures(client, "node.client") }),
    ...(scrub === undefined || scrub === null ? {} : { scrub: parseScrubFigures(scrub, "node.scrub") }),
  };
}
