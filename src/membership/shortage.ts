import type { StatusDocument } from "./status-document.ts";

/** Frames that the devices of all clients need when full and overwritten, and those that the servers there are lend. */
export interface Shortage {
  readonly role: "server" | "parity";
  readonly needed: number;
  readonly offered: number;
}

/** Where the servers lend less than the devices need; empty when there is enough of everything. */
export function shortagesIn({ nodes, clients }: StatusDocument): Shortage[] {
  const offeredBy = (role: "server" | "parity"): number =>
    nodes
      .filter((node) => node.role === role && node.state !== "down" && node.state !== "draining")
      .reduce((sum, node) => sum + node.frames.limit, 0);
  const sum = (kind: "servers" | "parity"): number =>
    clients.reduce((all, { roomNeeded }) => all + roomNeeded[kind], 0);
  const all: Shortage[] = [
    { role: "server", needed: sum("servers"), offered: offeredBy("server") },
    { role: "parity", needed: sum("parity"), offered: offeredBy("parity") },
  ];
  return all.filter(({ needed, offered }) => offered < needed);
}
