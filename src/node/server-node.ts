import { encodeHello, NONCE_BYTES, Role } from "../../proto/peer/index.ts";
import { ConfigError } from "../base/config-error.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { advertisedAddress } from "../io/advertised-address.ts";
import type { DataPort } from "../io/data-port.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { ReadyLine, RunningNode } from "./running-node.ts";

const lastWords = {
  server: "ending with pages of clients, which are lost",
  parity: "ending with parity pages: clients protect what they cover anew, where another parity server is",
} as const;

/** What a node that holds pages is made of. */
export interface ServerNodeParts {
  readonly role: "server" | "parity";
  readonly name: string;
  readonly dataPort: DataPort;
  readonly control: ControlPlane;
  readonly log: Log;
  /** Pages of clients that are held at present. */
  readonly pages: () => number;
  /** What the node holds is about to end with it. */
  readonly ending: () => void;
  /** Ends what the node has beside its data port. */
  readonly close?: () => void;
}

/** A memory server or parity server that runs. */
export class ServerNode implements RunningNode {
  readonly ready: ReadyLine;
  readonly ended: Promise<void>;
  readonly #parts: ServerNodeParts;
  readonly #timer: NodeJS.Timeout;
  #end!: () => void;

  constructor(parts: ServerNodeParts) {
    this.#parts = parts;
    const { role, name, dataPort, control } = parts;
    this.ready = { role, name, data: advertisedAddress(dataPort.address), control: control.advertised };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#timer = setInterval(() => dataPort.tick(performance.now()), limits.tickMs);
  }

  async drain(): Promise<void> {
    const { role, dataPort, control, log } = this.#parts;
    const pages = this.#parts.pages();
    if (pages > 0) log.warn(lastWords[role], { pages });
    this.#parts.ending();
    dataPort.stopAccepting();
    await control.leave();
    this.#close();
  }

  stop(): void {
    this.#parts.ending();
    void this.#parts.control.close();
    this.#close();
  }

  #close(): void {
    clearInterval(this.#timer);
    this.#parts.close?.();
    this.#parts.dataPort.close();
    this.#end();
  }
}

/**
 * The page protocol takes no name that the control port would not, but shorter ones.
 * @throws ConfigError
 */
export function checkName(name: string, identity: Uint8Array): void {
  try {
    const rest = { role: Role.SERVER, keyed: false, epoch: 0, pagesPerFrame: 1 };
    encodeHello({ ...rest, name, identity, nonce: new Uint8Array(NONCE_BYTES) });
  } catch (cause) {
    throw new ConfigError("--name", (cause as Error).message, { cause });
  }
}
