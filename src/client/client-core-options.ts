import type { Hello, Prover } from "../../proto/peer/index.ts";
import type { Arena } from "../base/arena.ts";
import type { Notice } from "../base/log.ts";
import type { Prng } from "../base/prng.ts";
import type { RedundancyMode } from "../redundancy/redundancy.ts";
import type { ClientLimits } from "./client-limits.ts";
import type { ServerLink } from "./server-link.ts";

/** What the core tells its surroundings. */
export interface ClientCorePort {
  /** The core has given up a link: its connection is to be closed at once. */
  linkClosed(link: ServerLink): void;
  /** Something that people want to know of. */
  notice: Notice;
}

export interface ClientCoreOptions {
  arena: Arena;
  slots: number;
  /** Page frames; default: as limits say. */
  frames?: number;
  /** Default: none. */
  redundancy?: RedundancyMode;
  /** Most members of a parity group; default 4. */
  groupSize?: number;
  /** Default: those of production. */
  limits?: ClientLimits;
  prng: Prng;
  /** Who we are, with a fresh nonce each time. */
  own: () => Hello;
  prover: Prover | undefined;
  port: ClientCorePort;
}
