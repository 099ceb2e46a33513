import { controlLimits } from "../base/control-limits.ts";
import { asAddress, asCount, asName, asObject, asOneOf, InvalidRecordError } from "../base/foreign-fields.ts";
import type { ClientFigures, FrameCounts, NodeRole, ScrubFigures } from "./node-record.ts";
import { asFrames, asRole, parseClientFigures, parseScrubFigures } from "./parse-record.ts";

/** A node's state as another node sees it; `suspect`: silent, or a client once got wrong bytes from it. */
export type SeenState = "up" | "suspect" | "down" | "draining";

export interface StatusNode {
  readonly name: string;
  readonly role: NodeRole;
  readonly state: SeenState;
  readonly pid: number;
  readonly data: string | null;
  readonly control: string;
  readonly frames: FrameCounts;
  /** Of a parity server. */
  readonly scrub?: ScrubFigures;
}

/** The cluster as one node sees it: what `nswap status --json` prints. */
export interface StatusDocument {
  readonly self: string;
  readonly nodes: readonly StatusNode[];
  readonly clients: readonly ClientFigures[];
}

const seenStates: readonly SeenState[] = ["up", "suspect", "down", "draining"];

/** A copy of a foreign value with exactly the fields of a status document. Throws InvalidRecordError. */
export function parseStatusDocument(value: unknown): StatusDocument {
  const fields = asObject(value, "status");
  return {
    self: asName(fields["self"], "status.self"),
    nodes: asList(fields["nodes"], "status.nodes").map(parseStatusNode),
    clients: asList(fields["clients"], "status.clients").map((client) =>
      parseClientFigures(client, "status.clients"),
    ),
  };
}

function asList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > controlLimits.nodesMax) {
    throw new InvalidRecordError(`${what} is not a list of at most ${controlLimits.nodesMax}`);
  }
  return value;
}

function parseStatusNode(value: unknown): StatusNode {
  const fields = asObject(value, "status.nodes");
  const { scrub } = fields;
  return {
    name: asName(fields["name"], "status.nodes.name"),
    role: asRole(fields["role"], "status.nodes.role"),
    state: asOneOf(fields["state"], seenStates, "status.nodes.state"),
    pid: asCount(fields["pid"], "status.nodes.pid"),
    data: fields["data"] === null ? null : asAddress(fields["data"], "status.nodes.data"),
    control: asAddress(fields["control"], "status.nodes.control"),
    frames: asFrames(fields["frames"], "status.nodes.frames"),
    ...(scrub === undefined ? {} : { scrub: parseScrubFigures(scrub, "status.nodes.scrub") }),
  };
}
