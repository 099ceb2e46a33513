import { controlLimits } from "../../base/control-limits.ts";
import { asCount, asIdentity, asObject, InvalidRecordError } from "../../base/foreign-fields.ts";
import type { NodeRecord } from "../../membership/node-record.ts";
import { ControlError } from "./control-error.ts";
import { packPlain, unpackPlain } from "./plain-msgpack.ts";

/**
 * What is said on a control connection after the handshake. `id` is chosen by who asks and comes back in each
 * answer. Tables and status
 * documents are left unread here: who asked for them checks them.
 */
export type ControlMessage =
  | { readonly t: "gossip"; readonly id: number; readonly from: string; readonly nodes: unknown }
  | { readonly t: "gossip-reply"; readonly id: number; readonly from: string; readonly nodes: unknown }
  | { readonly t: "status"; readonly id: number }
  | { readonly t: "subscribe"; readonly id: number; readonly everyMs: number }
  | { readonly t: "status-reply"; readonly id: number; readonly document: unknown }
  | { readonly t: "scrub"; readonly id: number }
  | { readonly t: "scrub-reply"; readonly id: number; readonly begun: boolean };

/** The message as msgpack. Throws ControlError if it would be larger than a peer accepts. */
export function encodeMessage(message: ControlMessage | { nodes: readonly NodeRecord[] }): Buffer {
  const bytes = packPlain(message);
  if (bytes.length > controlLimits.messageBytesMax) {
    throw new ControlError("PROTOCOL", `a message of ${bytes.length} bytes is over the limit`);
  }
  return bytes;
}

/** Reads and checks a foreign message. @throws ControlError PROTOCOL that says what was wrong */
export function decodeMessage(bytes: Uint8Array): ControlMessage {
  try {
    return read(asObject(unpackPlain(bytes), "the message"));
  } catch (error) {
    if (error instanceof InvalidRecordError) throw new ControlError("PROTOCOL", error.message, error);
    throw error;
  }
}

function read(fields: Record<string, unknown>): ControlMessage {
  const id = asCount(fields["id"], "id");
  const t = fields["t"];
  switch (t) {
    case "gossip":
    case "gossip-reply":
      return { t, id, from: asIdentity(fields["from"], "from"), nodes: fields["nodes"] };
    case "status":
    case "scrub":
      return { t, id };
    case "subscribe":
      return { t, id, everyMs: asEveryMs(fields["everyMs"]) };
    case "status-reply":
      return { t, id, document: fields["document"] };
    case "scrub-reply":
      return { t, id, begun: fields["begun"] === true };
    default:
      throw new ControlError("PROTOCOL", "unknown kind of message");
  }
}

function asEveryMs(value: unknown): number {
  const everyMs = asCount(value, "everyMs");
  const { watchEveryMsMin, watchEveryMsMax } = controlLimits;
  if (everyMs < watchEveryMsMin || everyMs > watchEveryMsMax) {
    throw new InvalidRecordError(`everyMs is not from ${watchEveryMsMin} to ${watchEveryMsMax}`);
  }
  return everyMs;
}
