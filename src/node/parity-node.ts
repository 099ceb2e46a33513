import { randomBytes } from "node:crypto";
import { NONCE_BYTES } from "../../proto/peer/index.ts";
import { Arena } from "../base/arena.ts";
import { ArenaBlockPool, HeapBlockPool } from "../base/blocks.ts";
import { toHex } from "../base/hex.ts";
import { formatHostPort, parseHostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { ServerLink } from "../client/server-link.ts";
import { ClusterKey } from "../io/cluster-key.ts";
import { DataPort, newDataPool } from "../io/data-port.ts";
import { DemandDialer } from "../io/demand-dialer.ts";
import { readMemoryInfo } from "../io/meminfo.ts";
import { receiveRegionIn } from "../io/receive-region.ts";
import type { MembershipPort } from "../membership/membership-port.ts";
import type { NodeRecord, ScrubFigures } from "../membership/node-record.ts";
import type { ParityPort } from "../parity/parity-port.ts";
import { ParityServerCore } from "../parity/parity-server.ts";
import { warnOfLoopbackName } from "./address-policy.ts";
import { bindAs } from "./bind-as.ts";
import { ControlPlane } from "./control-plane.ts";
import { lentFrames } from "./lent-frames.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { ServerOptions } from "./options.ts";
import type { StartServerNode } from "./running-node.ts";
import { checkName, ServerNode } from "./server-node.ts";

/**
 * Starts a parity server: core, data port, links to memory servers as they are needed, and control plane.
 * @throws ConfigError for options that cannot be used, or a port that cannot be bound
 */
export const startParityNode: StartServerNode = async (options, log, readMemory = readMemoryInfo) => {
  const key = options.keyFile === undefined ? undefined : ClusterKey.load(options.keyFile);
  const identity = randomBytes(16);
  checkName(options.name, identity);
  const capacityFrames = lentFrames(options, readMemory(), log);
  const plane = await ParityDataPlane.start(options, { identity, capacityFrames }, key, log);
  const { core, dataPort } = plane;
  const { reserveBytes } = options;
  const watch = new MemoryWatch({ store: core.store, reserveBytes, read: readMemory, log });
  try {
    const { control: listen, peers: seeds, name } = options;
    const data = formatHostPort(dataPort.address);
    const self = () => ({ data, frames: { ...core.capacity }, draining: false, scrub: scrubFigures(core) });
    const control = await ControlPlane.start({
      ...{ listen, key, seeds, self, name, role: "parity", identity: toHex(identity), log },
      port: membershipPort(plane.dialer),
      scrub: () => core.scrub(),
    });
    const pages = () => core.snapshot().clients.reduce((sum, client) => sum + client.pages, 0);
    const ending = () => core.end();
    const close = () => {
      watch.stop();
      plane.dialer.stop();
    };
    return new ServerNode({ role: "parity", name, dataPort, control, log, pages, ending, close });
  } catch (error) {
    watch.stop();
    plane.close();
    throw error;
  }
};

/**
 * A parity server's path of a page: its core, the port that clients come to, the links to memory servers.
 *
 *     arena: | work frames of the core | receive region | queues to memory servers |
 */
class ParityDataPlane {
  private constructor(
    readonly core: ParityServerCore,
    readonly dataPort: DataPort,
    readonly dialer: DemandDialer<ServerLink>,
  ) {}

  static async start(
    options: ServerOptions,
    own: { identity: Uint8Array; capacityFrames: number },
    prover: ClusterKey | undefined,
    log: Log,
  ): Promise<ParityDataPlane> {
    const sendBytes = limits.parityLinkBlocks * limits.peerBlockBytes;
    const workBytes = (limits.parityWorkFrames + 2) * PAGE_BYTES;
    const arena = new Arena(workBytes + limits.receiveBytesMax + sendBytes + 3 * PAGE_BYTES);
    const pool = newDataPool();
    const port: ParityPort = {
      wanted: (client, server) => dialer.wanted(client, server),
      linkClosed: (link) => dialer.linkClosed(link),
    };
    const core = new ParityServerCore({
      ...{ ...own, name: options.name, prover, arena, port, log },
      nonce: () => randomBytes(NONCE_BYTES),
      hashSeed: randomBytes(4).readUInt32LE(),
      blocks: { pool, soft: limits.dataBlocksSoft, max: limits.dataBlocksMax },
    });
    const onError = (error: Error): void => log.error("data port error", { error: error.message });
    const dataPort = await bindAs(
      "--listen",
      DataPort.start(options.listen, { core, sendPool: pool, onError }),
    );
    warnOfLoopbackName("--listen", options.listen, dataPort.address, log);
    const { bytes, view } = arena;
    const region = receiveRegionIn(bytes, arena.allocate(limits.receiveBytesMax));
    const start = arena.allocate(sendBytes);
    const sendPool = new ArenaBlockPool({
      ...{ bytes, view, start, count: limits.parityLinkBlocks, blockBytes: limits.peerBlockBytes },
    });
    const carryPool = new HeapBlockPool(limits.parityLinksMax, limits.receiveBytesMax);
    const dialer: DemandDialer<ServerLink> = new DemandDialer({
      ...{ core, region, sendPool, carryPool, flusher: dataPort.flusher, nowMs: () => performance.now() },
      failed: (error) => log.error("link error", { error: error.message }),
    });
    return new ParityDataPlane(core, dataPort, dialer);
  }

  close(): void {
    this.dialer.stop();
    this.dataPort.close();
  }
}

/** Memory servers are all that a parity server needs to know of the cluster. */
function membershipPort(dialer: DemandDialer<ServerLink>): MembershipPort {
  const found = ({ role, identity, data }: NodeRecord): void => {
    if (role === "server" && data !== null) dialer.found(identity, parseHostPort(data));
  };
  return {
    nodeUp: found,
    nodeChanged: found,
    nodeGone({ identity }, why) {
      if (why !== "down") dialer.gone(identity);
    },
  };
}

function scrubFigures(core: ParityServerCore): ScrubFigures {
  const { running, position, end, ...counts } = core.snapshot().scrub;
  return { state: running ? "running" : "idle", done: position, total: end, ...counts };
}
