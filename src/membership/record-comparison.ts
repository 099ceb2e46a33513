import { isLoopbackHost, parseHostPort } from "../base/host-port.ts";
import type { NodeRecord } from "./node-record.ts";

/** Orders nodes for people: by role, then name. */
export function sortKey(record: NodeRecord): string {
  return `${record.role} ${record.name} ${record.identity}`;
}

/**
 * Two processes with one name and role cannot both live at one place, which both addresses tell. A loopback address is
 * another place on each machine: clients, which have no data port, may live side by side on machines that were cloned.
 * Where a server's addresses are all loopback, no other machine can have to do with it.
 */
export function isSameAddress(a: NodeRecord, b: NodeRecord): boolean {
  if (a.name !== b.name || a.role !== b.role || a.control !== b.control || a.data !== b.data) return false;
  return a.role !== "client" || !isLoopbackHost(parseHostPort(a.control).host);
}

/** Whether nothing but the heartbeat is new. Both records come from `parseNodeRecord`, so their fields are in order. */
export function sameButHeartbeat(a: NodeRecord, b: NodeRecord): boolean {
  return JSON.stringify({ ...a, heartbeat: 0 }) === JSON.stringify({ ...b, heartbeat: 0 });
}
