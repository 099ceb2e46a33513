import { asAddress, asCount, asIdentity, asName, asObject, asOneOf } from "../base/foreign-fields.ts";
import type {
  ClientFigures,
  FrameCounts,
  NodeRecord,
  NodeRole,
  RedundancyName,
  SelfState,
  TrafficFigures,
} from "./node-record.ts";

const roles: readonly NodeRole[] = ["server", "parity", "client"];
const states: readonly SelfState[] = ["up", "draining", "left"];
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
  const client = fields["client"];
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
  };
}
