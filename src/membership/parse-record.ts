import { controlLimits } from "../base/control-limits.ts";
import { parseHostPort } from "../base/host-port.ts";
import type {
  ClientFigures,
  FrameCounts,
  NodeRecord,
  NodeRole,
  RedundancyName,
  SelfState,
} from "./node-record.ts";

/** A value from outside that is not what it should be. The message names the field. */
export class InvalidRecordError extends Error {
  readonly code = "INVALID_RECORD";
  override readonly name = "InvalidRecordError";
}

/** Names are shown on terminals, in metrics and in `key=value` lines, hence the narrow alphabet. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const nameAccepted = "1 to 63 letters, digits, '.', '_' and '-', beginning with a letter or digit";

const roles: readonly NodeRole[] = ["server", "parity", "client"];
const states: readonly SelfState[] = ["up", "draining", "left"];
const redundancies: readonly RedundancyName[] = ["none", "mirror", "parity"];

/** A foreign value as an object whose fields may be read. Throws InvalidRecordError. */
export function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidRecordError(`${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

/** A whole number from 0 to 2^53 - 1. Throws InvalidRecordError. */
export function asCount(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidRecordError(`${what} is not a whole number of 0 or more`);
  }
  return value;
}

/** One of the words given. Throws InvalidRecordError. */
export function asOneOf<T extends string>(value: unknown, words: readonly T[], what: string): T {
  const found = words.find((word) => word === value);
  if (found === undefined) throw new InvalidRecordError(`${what} is none of ${words.join(", ")}`);
  return found;
}

export function asName(value: unknown, what: string): string {
  if (typeof value !== "string" || !namePattern.test(value)) {
    throw new InvalidRecordError(`${what} is not a name (${nameAccepted})`);
  }
  return value;
}

export function asIdentity(value: unknown, what: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{32}$/.test(value)) {
    throw new InvalidRecordError(`${what} is not 32 hexadecimal digits`);
  }
  return value;
}

export function asAddress(value: unknown, what: string): string {
  if (typeof value !== "string" || value.length > controlLimits.addressCharsMax) {
    throw new InvalidRecordError(`${what} is not an address`);
  }
  try {
    parseHostPort(value);
  } catch (cause) {
    throw new InvalidRecordError(`${what} is not an address`, { cause });
  }
  return value;
}

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
