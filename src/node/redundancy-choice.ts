import { setTimeout as sleep } from "node:timers/promises";
import type { HostPort } from "../base/host-port.ts";
import type { Log } from "../base/log.ts";
import type { ClusterKey } from "../io/cluster-key.ts";
import type { RedundancyName } from "../membership/node-record.ts";
import type { StatusDocument } from "../membership/status-document.ts";
import { StatusClient } from "./status-client.ts";

/** A parity server that starts at the same time may be heard of a heartbeat or two later. */
const lookMsMax = 2_500;
const lookEveryMs = 250;

/** After so long a client has found who is there at its start. */
const foundMsMax = 5_000;

/** Says it where, a while after the start, the servers are missing that the mode needs. Ends no process late. */
export function sayIfUnprotected(
  redundancy: RedundancyName,
  links: () => { servers: number; parity: number },
  log: Log,
): NodeJS.Timeout {
  const look = () => {
    const { servers, parity } = links();
    if (redundancy === "parity" && parity === 0) {
      log.warn("no parity server is linked: pages are unprotected until one is", { redundancy });
    } else if (redundancy === "mirror" && servers < 2) {
      log.warn("fewer than two memory servers are linked: pages are unprotected until there are two", {
        redundancy,
        servers,
      });
    }
  };
  return setTimeout(look, foundMsMax).unref();
}

/** Says what a mode of redundancy means that was not chosen but came about. */
export function sayRedundancy(redundancy: RedundancyName, log: Log): void {
  if (redundancy === "none") {
    log.warn("redundancy is none: if a memory server is lost, the pages it held are lost", { redundancy });
  } else {
    log.info("pages are protected: the loss of any one server loses none of them", { redundancy });
  }
}

/** The mode of a client that was not told one: parity where its peers know of a parity server, else none. */
export async function redundancyByDefault(
  peers: readonly HostPort[],
  key: ClusterKey | null,
): Promise<RedundancyName> {
  if (peers.length === 0) return "none";
  const deadlineMs = performance.now() + lookMsMax;
  const late = sleep(lookMsMax).then(() => false);
  const looks = peers.map((peer) => untilParityKnown(peer, key, deadlineMs));
  const found = Promise.any(looks).catch(() => false);
  return (await Promise.race([found, late])) ? "parity" : "none";
}

/** @throws Error when the time is over */
async function untilParityKnown(peer: HostPort, key: ClusterKey | null, deadlineMs: number): Promise<true> {
  while (!(await knowsParity(peer, key))) {
    if (performance.now() + lookEveryMs > deadlineMs) throw new Error("no parity server is known");
    await sleep(lookEveryMs);
  }
  return true;
}

/** One that gave a client a wrong page once is suspect for as long as it runs, and still better than none. */
export function seesParity({ nodes }: Pick<StatusDocument, "nodes">): boolean {
  return nodes.some(({ role, state }) => role === "parity" && (state === "up" || state === "suspect"));
}

/** Never rejects: who does not answer knows nothing. */
async function knowsParity(peer: HostPort, key: ClusterKey | null): Promise<boolean> {
  let client: StatusClient | null = null;
  try {
    client = await StatusClient.connect(peer, key);
    return seesParity(await client.status());
  } catch {
    return false;
  } finally {
    client?.close();
  }
}
