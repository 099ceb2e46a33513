import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import {
  formatHostPort,
  type HostPort,
  isLoopbackHost,
  isWildcardHost,
  parseHostPort,
} from "../base/host-port.ts";

/**
 * The address that others are told for a bound one. A wildcard cannot be connected to: it becomes the first address
 * of this machine that is not loopback (IPv4 before IPv6, no link-local one), or loopback where there is none.
 * @param before what they were told last: it stays as long as it is as good as any, or none is there for a while
 */
export function advertisedAddress(bound: HostPort, before?: string, hosts = ownHosts): string {
  if (!isWildcardHost(bound.host)) return formatHostPort(bound);
  const usable = hostsNow(hosts, before).filter(
    (host) => !isLoopbackHost(host) && !/^(?:fe80:|169\.254\.)/i.test(host),
  );
  const ipv4 = usable.filter((host) => isIPv4(host));
  const ipv6 = bound.host === "0.0.0.0" ? [] : usable.filter((host) => !isIPv4(host));
  const best = ipv4.length > 0 ? ipv4 : ipv6;
  const told = before === undefined ? undefined : parseHostPort(before).host;
  if (told !== undefined && (best.length === 0 || best.includes(told))) {
    return formatHostPort({ host: told, port: bound.port });
  }
  const loopback = bound.host === "0.0.0.0" ? "127.0.0.1" : "::1";
  return formatHostPort({ host: best[0] ?? loopback, port: bound.port });
}

/** The system needs a descriptor and memory to say them; while it has none, what others were told stays. */
function hostsNow(hosts: () => readonly string[], before?: string): readonly string[] {
  try {
    return hosts();
  } catch (error) {
    if (before === undefined) throw error;
    return [];
  }
}

function ownHosts(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
}
