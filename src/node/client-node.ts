import { randomBytes } from "node:crypto";
import { formatHostPort, parseHostPort } from "../base/host-port.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { ClusterKey } from "../io/cluster-key.ts";
import { readMemoryInfo } from "../io/meminfo.ts";
import type { Place } from "../io/whereabouts.ts";
import type { MembershipPort } from "../membership/membership-port.ts";
import type { NodeRecord, RedundancyName } from "../membership/node-record.ts";
import { checkAddressPolicy } from "./address-policy.ts";
import { bindAs } from "./bind-as.ts";
import { ClientDataPlane, clientBufferBytes } from "./client-data-plane.ts";
import { reportOf } from "./client-report.ts";
import { ControlPlane, newIdentity } from "./control-plane.ts";
import { buffersPrepared, checkTablesFit, touch } from "./memory-preparation.ts";
import type { ClientOptions } from "./options.ts";
import { redundancyByDefault, sayIfUnprotected, sayRedundancy } from "./redundancy-choice.ts";
import { RoomWatch } from "./room-watch.ts";
import type { ReadyLine, RunningNode } from "./running-node.ts";

/** Starts a client: NBD on one side, memory servers as membership finds them on the other. */
export async function startClientNode(
  options: ClientOptions,
  log: Log,
  readMemory = readMemoryInfo,
): Promise<RunningNode> {
  checkAddressPolicy(
    {
      addresses: { "--control": options.control, "--nbd": options.nbd },
      hasKey: options.keyFile !== undefined,
      insecure: options.insecure,
    },
    log,
  );
  const key = options.keyFile === undefined ? undefined : ClusterKey.load(options.keyFile);
  const identity = newIdentity();
  const redundancy = options.redundancy ?? (await redundancyByDefault(options.peers, key ?? null));
  if (options.redundancy === undefined) sayRedundancy(redundancy, log);
  const memory = readMemory();
  const bufferBytes = buffersPrepared(clientBufferBytes, memory);
  checkTablesFit({ sizeBytes: options.sizeBytes, redundancy }, bufferBytes, memory);
  const plane = new ClientDataPlane({
    name: options.name,
    identity: Buffer.from(identity, "hex"),
    nonce: () => randomBytes(32),
    seed: randomBytes(6).readUIntLE(0, 6),
    sizeBytes: options.sizeBytes,
    exportName: options.exportName,
    prover: key,
    redundancy,
    groupSize: options.groupSize,
    failed: (error) => log.error("a connection failed", { error: error.message }),
    notice: (message, fields, level = "info") => log[level](message, fields),
  });
  try {
    await touch(plane.memory(bufferBytes), log);
    sayResident(log);
    const ready = await serve(plane, options);
    const control = await ControlPlane.start({
      listen: options.control,
      key,
      seeds: options.peers,
      name: options.name,
      role: "client",
      identity,
      log,
      self: () => reportOf(plane, options, redundancy),
      port: membershipPort(plane, redundancy, log),
    });
    const { dialer } = plane;
    const links = () => ({ servers: dialer.linked("server"), parity: dialer.linked("parity") });
    sayIfUnprotected(redundancy, links, log);
    const room = new RoomWatch(() => control.status(), log);
    return new ClientNode({ plane, control, room, log }, { ...ready, role: "client", name: options.name });
  } catch (error) {
    plane.close();
    throw error;
  }
}

/** The size that a cgroup's memory.min is to be above. */
function sayResident(log: Log): void {
  log.info("memory is set aside", { residentMiB: Math.ceil(process.memoryUsage.rss() / 1024 ** 2) });
}

/** Listens for NBD clients; returns the URIs to say. */
async function serve(
  plane: ClientDataPlane,
  options: ClientOptions,
): Promise<{ nbd?: string; nbdTcp?: string }> {
  const uris: string[] = [];
  const name = encodeURIComponent(options.exportName);
  if (options.socketPath !== undefined) {
    await bindAs("--socket", plane.listen({ path: options.socketPath }));
    uris.push(`nbd+unix:///${name}?socket=${pathInUri(options.socketPath)}`);
  }
  if (options.nbd !== undefined) {
    const listener = await bindAs("--nbd", plane.listen(options.nbd));
    const bound = listener.address as { address: string; port: number };
    uris.push(`nbd://${formatHostPort({ host: bound.address, port: bound.port })}/${name}`);
  }
  const [nbd, nbdTcp] = uris;
  return { ...(nbd === undefined ? {} : { nbd }), ...(nbdTcp === undefined ? {} : { nbdTcp }) };
}

/** A path as the value of a query: no character of it ends the value. */
const pathInUri = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

/** Tells the data plane of the servers it is to be linked to: parity servers only where it uses them. */
function membershipPort(plane: ClientDataPlane, redundancy: RedundancyName, log: Log): MembershipPort {
  const { core, dialer } = plane;
  const placeOf = ({ name, role, data }: NodeRecord): Place | undefined => {
    if (data === null || role === "client" || (role === "parity" && redundancy !== "parity"))
      return undefined;
    return { ...parseHostPort(data), label: name, role };
  };
  const found = (record: NodeRecord): void => {
    const place = placeOf(record);
    if (place === undefined) return;
    dialer.add(record.identity, place);
    core.capacityHeard(record.identity, record.frames);
  };
  return {
    nodeUp: found,
    nodeChanged: found,
    nodeGone(record, why) {
      if (placeOf(record) === undefined) return;
      const { identity, name, role } = record;
      if (why === "superseded")
        log.info("a server is said to be replaced by a younger process", { name, role });
      // That a server is down, or that a younger one has its address, is what others say: the dialer finds out what
      // is so, and the slots wait for the server. Its own last word is enough.
      if (why !== "left") return dialer.unheard(identity);
      log.info("a server is gone", { name, role, why });
      core.serverLost(identity, "it left");
      dialer.remove(identity);
    },
  };
}

interface ClientNodeParts {
  readonly plane: ClientDataPlane;
  readonly control: ControlPlane;
  readonly room: RoomWatch;
  readonly log: Log;
}

class ClientNode implements RunningNode {
  readonly ready: ReadyLine;
  readonly ended: Promise<void>;
  readonly #parts: ClientNodeParts;
  #end!: () => void;
  #over = false;

  constructor(parts: ClientNodeParts, ready: Omit<ReadyLine, "control">) {
    this.#parts = parts;
    this.ready = { ...ready, control: parts.control.advertised };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Waits until the last NBD client has gone: a kernel that still swaps here must not lose its pages. */
  async drain(): Promise<void> {
    const { plane, control, room, log } = this.#parts;
    const { front } = plane;
    plane.stopAccepting();
    if (front.clientsServed > 0) {
      log.warn(
        "NBD clients are still connected; waiting for them (swapoff and nbd-client -d come first; " +
          `the signal again after ${limits.sameSignalMs / 1000} s stops at once, and they lose their pages)`,
        { connections: front.clientsServed, peers: front.peersServed },
      );
    }
    while (front.clientsServed > 0 && !this.#over) await sleep(limits.tickMs);
    if (this.#over) return;
    this.#over = true;
    room.stop();
    await plane.leave();
    await control.leave();
    await control.close();
    this.#end();
  }

  stop(): void {
    this.#over = true;
    const { plane, control, room } = this.#parts;
    room.stop();
    plane.close();
    void control.close().finally(this.#end);
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
