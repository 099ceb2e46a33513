import type { NodeRecord } from "./node-record.ts";

/** Orders nodes for people: by role, then name. */
export function sortKey(record: NodeRecord): string {
  return `${record.role} ${record.name} ${record.identity}`;
}

/** Two processes under one name, role and control address cannot both live. */
export function isSameAddress(a: NodeRecord, b: NodeRecord): boolean {
  return a.name === b.name && a.role === b.role && a.control === b.control;
}

/** Whether nothing but the heartbeat is new. Both records come from `parseNodeRecord`, so their fields are in order. */
export function sameButHeartbeat(a: NodeRecord, b: NodeRecord): boolean {
  return JSON.stringify({ ...a, heartbeat: 0 }) === JSON.stringify({ ...b, heartbeat: 0 });
}
