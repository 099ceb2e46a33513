import { ConfigError } from "../base/config-error.ts";
import { formatHostPort, type HostPort, isLoopbackHost } from "../base/host-port.ts";
import type { Log } from "../base/log.ts";

/** The addresses a node is to bind, by the option that named each, and what protects them. */
export interface AddressUse {
  readonly addresses: Readonly<Record<string, HostPort | undefined>>;
  readonly hasKey: boolean;
  readonly insecure: boolean;
}

/**
 * Without a cluster key anybody who reaches a port may read, write and take part: then only loopback is bound, unless
 * that is asked for by name.
 * @throws ConfigError ADDRESS_REFUSED that names the option and the mend
 */
export function checkAddressPolicy(use: AddressUse, log: Log): void {
  for (const [option, address] of Object.entries(use.addresses)) {
    if (address === undefined || isLoopbackHost(address.host)) continue;
    const shown = formatHostPort(address);
    if (!use.hasKey && !use.insecure) {
      throw new ConfigError(
        option,
        `${shown} can be reached from other machines, and there is no cluster key; ` +
          "give --key-file FILE on every node, or a loopback address, or --insecure to do without",
        { code: "ADDRESS_REFUSED" },
      );
    }
    if (!use.hasKey)
      log.warn("bound without a cluster key: anybody who reaches it may use it", { option, address: shown });
    else if (option === "--nbd") {
      log.warn("NBD itself knows no key: anybody who reaches the address may read and write the device", {
        option,
        address: shown,
      });
    }
  }
}

/**
 * Others would look for a control port on loopback on their own machines: a node whose pages they may use has to tell
 * them one that they reach.
 * @throws ConfigError ADDRESS_REFUSED that names both options and the mend
 */
export function checkControlReachable(listen: HostPort, control: HostPort): void {
  if (isLoopbackHost(listen.host) || !isLoopbackHost(control.host)) return;
  const mend = formatHostPort({ host: listen.host, port: control.port });
  throw new ConfigError(
    "--control",
    `${formatHostPort(control)} is reached from this machine only, --listen ${formatHostPort(listen)} from others ` +
      `too, and they could not find this node; give --control an address that they reach: --control ${mend}`,
    { code: "ADDRESS_REFUSED" },
  );
}

/** A host name may stand for loopback, as Debian has it for a machine's own, though others were to reach the node. */
export function warnOfLoopbackName(option: string, asked: HostPort, bound: HostPort, log: Log): void {
  if (isLoopbackHost(asked.host) || !isLoopbackHost(bound.host)) return;
  log.warn("the name given stands for loopback: no other machine reaches this address; give an IP address", {
    ...{ option, name: asked.host, address: formatHostPort(bound) },
  });
}
