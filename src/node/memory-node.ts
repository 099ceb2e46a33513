import { randomBytes } from "node:crypto";
import { NONCE_BYTES } from "../../proto/peer/index.ts";
import { toHex } from "../base/hex.ts";
import { formatHostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import { ClusterKey } from "../io/cluster-key.ts";
import { DataPort, newDataPool } from "../io/data-port.ts";
import { readMemoryInfo } from "../io/meminfo.ts";
import type { MembershipPort } from "../membership/membership-port.ts";
import { MemoryServerCore } from "../server/memory-server.ts";
import { warnOfLoopbackName } from "./address-policy.ts";
import { bindAs } from "./bind-as.ts";
import { ControlPlane } from "./control-plane.ts";
import { lentFrames } from "./lent-frames.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { StartServerNode } from "./running-node.ts";
import { checkName, ServerNode } from "./server-node.ts";

/** A memory server needs to know no other node: it only lets itself be found. */
const nobody: MembershipPort = { nodeUp() {}, nodeChanged() {}, nodeGone() {} };

/**
 * Starts a memory server: core, data port and control plane.
 * @throws ConfigError for options that cannot be used, or a port that cannot be bound
 */
export const startMemoryNode: StartServerNode = async (options, log, readMemory = readMemoryInfo) => {
  const key = options.keyFile === undefined ? undefined : ClusterKey.load(options.keyFile);
  const identity = randomBytes(16);
  checkName(options.name, identity);
  const pool = newDataPool();
  const core = new MemoryServerCore({
    identity,
    name: options.name,
    capacityFrames: lentFrames(options, readMemory(), log),
    prover: key,
    nonce: () => randomBytes(NONCE_BYTES),
    hashSeed: randomBytes(4).readUInt32LE(),
    blocks: { pool, soft: limits.dataBlocksSoft, max: limits.dataBlocksMax },
    log,
  });
  const onError = (error: Error): void => log.error("data port error", { error: error.message });
  const dataPort = await bindAs(
    "--listen",
    DataPort.start(options.listen, { core, sendPool: pool, onError, afterEachRead: true }),
  );
  warnOfLoopbackName("--listen", options.listen, dataPort.address, log);
  const { reserveBytes } = options;
  const watch = new MemoryWatch({ store: core.store, reserveBytes, read: readMemory, log });
  try {
    const { control: listen, peers: seeds, name } = options;
    const data = formatHostPort(dataPort.address);
    const self = () => ({ data, frames: { ...core.capacity }, draining: false });
    const whoami = { name, role: "server", identity: toHex(identity) } as const;
    const control = await ControlPlane.start({ listen, key, seeds, self, ...whoami, log, port: nobody });
    // Pages of clients that said GOODBYE are still being freed, and missed by nobody.
    const pages = () => core.snapshot().clients.reduce((sum, client) => sum + client.pages, 0);
    const ending = () => core.end();
    const close = () => watch.stop();
    return new ServerNode({ role: "server", name, dataPort, control, log, pages, ending, close });
  } catch (error) {
    watch.stop();
    dataPort.close();
    throw error;
  }
};
