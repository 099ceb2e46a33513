import { randomBytes } from "node:crypto";
import { encodeHello, NONCE_BYTES, Role } from "../../proto/peer/index.ts";
import { ConfigError } from "../base/config-error.ts";
import { toHex } from "../base/hex.ts";
import { formatHostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { advertisedAddress } from "../io/advertised-address.ts";
import { ClusterKey } from "../io/cluster-key.ts";
import { DataPort, newDataPool } from "../io/data-port.ts";
import { readMemoryInfo } from "../io/meminfo.ts";
import type { MembershipPort } from "../membership/membership-port.ts";
import { MemoryServerCore } from "../server/memory-server.ts";
import { ControlPlane } from "./control-plane.ts";
import type { ServerOptions } from "./options.ts";
import type { ReadyLine, RunningNode, StartMemoryNode } from "./running-node.ts";

/** A memory server needs to know no other node: it only lets itself be found. */
const nobody: MembershipPort = { nodeUp() {}, nodeChanged() {}, nodeGone() {} };

/**
 * Starts a memory server: core, data port and control plane.
 * @throws ConfigError for options that cannot be used, NswapError or the system's error for a port that cannot be bound
 */
export const startMemoryNode: StartMemoryNode = async (options, log) => {
  const key = options.keyFile === undefined ? undefined : ClusterKey.load(options.keyFile);
  const identity = randomBytes(16);
  checkName(options.name, identity);
  const pool = newDataPool();
  const core = new MemoryServerCore({
    identity,
    name: options.name,
    capacityFrames: capacityFrames(options, log),
    prover: key,
    nonce: () => randomBytes(NONCE_BYTES),
    hashSeed: randomBytes(4).readUInt32LE(),
    blocks: { pool, soft: limits.dataBlocksSoft, max: limits.dataBlocksMax },
    log,
  });
  const onError = (error: Error): void => log.error("data port error", { error: error.message });
  const dataPort = await DataPort.start(options.listen, { core, sendPool: pool, onError });
  try {
    const { control: listen, peers: seeds, name } = options;
    const data = formatHostPort(dataPort.address);
    const self = () => ({ data, frames: { ...core.capacity }, draining: false });
    const whoami = { name, role: "server", identity: toHex(identity) } as const;
    const control = await ControlPlane.start({ listen, key, seeds, self, ...whoami, log, port: nobody });
    return new MemoryNode(options.name, core, dataPort, control, log);
  } catch (error) {
    dataPort.close();
    throw error;
  }
};

class MemoryNode implements RunningNode {
  readonly ready: ReadyLine;
  readonly ended: Promise<void>;
  readonly #core: MemoryServerCore;
  readonly #dataPort: DataPort;
  readonly #control: ControlPlane;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #end!: () => void;

  constructor(name: string, core: MemoryServerCore, dataPort: DataPort, control: ControlPlane, log: Log) {
    this.#core = core;
    this.#dataPort = dataPort;
    this.#control = control;
    this.#log = log;
    const data = advertisedAddress(dataPort.address);
    this.ready = { role: "server", name, data, control: control.advertised };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#timer = setInterval(() => dataPort.tick(performance.now()), limits.tickMs);
  }

  async drain(): Promise<void> {
    // Pages of clients that said GOODBYE are still being freed, and missed by nobody.
    const pages = this.#core.snapshot().clients.reduce((sum, client) => sum + client.pages, 0);
    if (pages > 0) this.#log.warn("ending with pages of clients, which are lost", { pages });
    this.#dataPort.stopAccepting();
    await this.#control.leave();
    this.#close();
  }

  stop(): void {
    void this.#control.close();
    this.#close();
  }

  #close(): void {
    clearInterval(this.#timer);
    this.#dataPort.close();
    this.#end();
  }
}

/** Frames to lend: as asked, but never what the machine is to keep for itself. */
function capacityFrames(options: ServerOptions, log: Log): number {
  const { capacityBytes, reserveBytes } = options;
  const mostBytes = readMemoryInfo().totalBytes - reserveBytes;
  if (mostBytes < PAGE_BYTES) {
    throw new ConfigError(
      "--reserve",
      `${reserveBytes} bytes are all the memory there is; nothing could be lent`,
    );
  }
  if (capacityBytes > mostBytes) {
    log.warn("capacity cut to what the reserve leaves", {
      capacityBytes,
      reserveBytes,
      lentBytes: mostBytes,
    });
  }
  const frames = Math.floor(Math.min(capacityBytes, mostBytes) / PAGE_BYTES);
  if (frames > limits.storeFramesMax || frames < 1) {
    const most = limits.storeFramesMax * PAGE_BYTES;
    throw new ConfigError("--capacity", `${capacityBytes} bytes; accepted: ${PAGE_BYTES} to ${most}`);
  }
  return frames;
}

/** The page protocol takes no name that the control port would not, but shorter ones. */
function checkName(name: string, identity: Uint8Array): void {
  try {
    const rest = { role: Role.SERVER, keyed: false, epoch: 0, pagesPerFrame: 1 };
    encodeHello({ ...rest, name, identity, nonce: new Uint8Array(NONCE_BYTES) });
  } catch (cause) {
    throw new ConfigError("--name", (cause as Error).message, { cause });
  }
}
