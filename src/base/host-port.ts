import { quote } from "./config-error.ts";

/** An address: host is a name or an IP literal (IPv6 without brackets), port from 0 to 65535. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export const hostPortAccepted = "HOST:PORT or [IPV6]:PORT, port 0 to 65535";

const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})$/;
/** What ends in a number is an IPv4 address, or nothing: elsewhere `1.2` would be read as 1.0.0.2. */
const endsInNumber = /(?:^|\.)(?:[0-9]+|0[Xx][0-9A-Fa-f]*)\.?$/;
const ipv4Text = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;
const ipv6Text = /^[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,16})?$/;

/** Reads `HOST:PORT` or `[IPV6]:PORT`. Throws a plain Error that says what was wrong and what is accepted. */
export function parseHostPort(text: string): HostPort {
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2] ?? "";
  const port = Number(parts?.[3]);
  const hostIsRight = parts?.[1] === undefined ? isNameOrIpv4(host) : isIpv6(host);
  if (!parts || !hostIsRight || port > 65535) {
    throw new Error(`${quote(text)} is not an address; accepted: ${hostPortAccepted}`);
  }
  return { host, port };
}

const isNameOrIpv4 = (host: string): boolean =>
  hostName.test(host) && (!endsInNumber.test(host) || ipv4Text.test(host));

const isIpv6 = (host: string): boolean =>
  host.includes(":") && ipv6Text.test(host) && URL.canParse(`ws://[${host.replace(/%.*$/, "")}]`);

/** The text form, an IPv6 host in brackets. */
export function formatHostPort(address: HostPort): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Whether only this machine can reach a socket bound to the host. Names other than `localhost` are not trusted. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^::ffff:/, "");
  return bare === "localhost" || bare === "::1" || /^127(?:\.[0-9]{1,3}){3}$/.test(bare);
}

/** Whether the host means "every address of this machine", which nobody can connect to from elsewhere. */
export function isWildcardHost(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "::0";
}
