import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { formatHostPort, type HostPort, isLoopbackHost, isWildcardHost } from "../base/host-port.ts";

/**
 * The address that others are told for a bound one. A wildcard cannot be connected to: it becomes the first address
 * of this machine that is not loopback (IPv4 before IPv6, no link-local one), or loopback where there is none.
 */
export function advertisedAddress(bound: HostPort, hosts: readonly string[] = ownHosts()): string {
  if (!isWildcardHost(bound.host)) return formatHostPort(bound);
  const usable = hosts.filter((host) => !isLoopbackHost(host) && !/^(?:fe80:|169\.254\.)/i.test(host));
  const ipv4 = usable.find((host) => isIPv4(host));
  const ipv6 = bound.host === "0.0.0.0" ? undefined : usable.find((host) => !isIPv4(host));
  const loopback = bound.host === "0.0.0.0" ? "127.0.0.1" : "::1";
  return formatHostPort({ host: ipv4 ?? ipv6 ?? loopback, port: bound.port });
}

function ownHosts(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
}
