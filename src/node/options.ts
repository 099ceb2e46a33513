import type { HostPort } from "../base/host-port.ts";
import type { RedundancyName } from "../membership/node-record.ts";
import type { LogFormat } from "./log.ts";

/** What every node is told. Sizes are bytes. */
export interface CommonOptions {
  readonly name: string;
  /** Data port; a client has none. */
  readonly listen?: HostPort;
  readonly control: HostPort;
  /** Control addresses of other nodes; the rest is learned from them. */
  readonly peers: readonly HostPort[];
  readonly keyFile?: string;
  /** Bind other than loopback addresses without a key. */
  readonly insecure: boolean;
  readonly log: LogFormat;
}

/** A memory server, or a parity server. */
export interface ServerOptions extends CommonOptions {
  readonly listen: HostPort;
  /** Most memory lent; a multiple of 4096. */
  readonly capacityBytes: number;
  /** Memory the machine always keeps for itself. */
  readonly reserveBytes: number;
}

/** At least one of `socketPath` and `nbd` is given. */
export interface ClientOptions extends CommonOptions {
  /** Size of the device; a multiple of 4096. */
  readonly sizeBytes: number;
  /** NBD on this Unix socket; an absolute path. */
  readonly socketPath?: string;
  /** NBD over TCP. */
  readonly nbd?: HostPort;
  readonly exportName: string;
  /** Left out: parity where a parity server is known at the start, else none. */
  readonly redundancy?: RedundancyName;
  /** Most data pages in a parity group. */
  readonly groupSize: number;
}
