import { FrameType } from "../../proto/peer/index.ts";
import { controlLimits } from "../base/control-limits.ts";
import { namePattern } from "../base/foreign-fields.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { ClientCounters } from "../client/counters.ts";
import type { ClientFigures, RedundancyName, TrafficFigures } from "../membership/node-record.ts";
import type { IpTable } from "../placement/ip-table.ts";
import { roomNeeded } from "../redundancy/room-needed.ts";
import type { ClientDataPlane } from "./client-data-plane.ts";
import type { SelfReport } from "./control-plane.ts";
import type { ClientOptions } from "./options.ts";

/** The client's figures for status, metrics and gossip. */
export function reportOf(
  plane: ClientDataPlane,
  options: ClientOptions,
  redundancy: RedundancyName,
): SelfReport {
  const { core, dialer, front } = plane;
  const { slots, counters } = core;
  const client: ClientFigures = {
    name: options.name,
    redundancy,
    sizeBytes: options.sizeBytes,
    slots: { mapped: slots.onServers, sameFilled: slots.sameFilled, onDisk: 0 },
    pages: core.pages,
    requests: { inFlight: front.requestsInFlight, errors: counters.requestErrors },
    traffic: trafficOf(counters),
    recovery: core.redundancy.recovery(),
    links: { servers: dialer.linked("server"), parity: dialer.linked("parity") },
    suspects: suspectsIn(core.table),
    roomNeeded: roomNeeded(redundancy, options.sizeBytes / PAGE_BYTES, options.groupSize),
  };
  return { data: null, frames: { used: 0, free: 0, limit: 0 }, draining: false, client };
}

function trafficOf({ pagesOut, pagesIn, sent }: ClientCounters): TrafficFigures {
  return {
    pagesOut,
    pagesIn,
    messagesSent: sent.messages,
    messagesAsking: sent.frames[FrameType.GETPAGE]! + sent.frames[FrameType.RECOVER]!,
    bytesSent: sent.bytes,
  };
}

/** Names of servers that gave other bytes than were written, as many as others are told. */
function suspectsIn({ holders }: IpTable): string[] {
  const suspects = holders.filter((holder) => holder.suspect && holder.state !== "dead");
  // A name comes from the server itself, over the page protocol, which takes more than membership does.
  const names = suspects.map((holder) => holder.name).filter((name) => namePattern.test(name));
  return [...new Set(names)].slice(0, controlLimits.suspectsMax);
}
