import { statfsSync } from "node:fs";
import { join } from "node:path";
import { OutsideCluster, type Redundancy } from "../../system/guest/cluster.ts";
import type { GatewayDevice } from "../../system/guest/job.ts";
import { startNbdkit } from "../../system/guest/nbdkit.ts";
import { type GuestNetwork, HOST_ADDRESS, type Place } from "../../system/guest/network.ts";
import { temporaryFolder } from "../../system/guest/own-things.ts";
import type { Scope } from "../../system/guest/scope.ts";
import type { ClientStatus } from "../../system/guest/status.ts";

export const deviceNames = ["hdd", "ssd", "own-disk", "memory", "none", "mirror", "parity"] as const;
export type DeviceName = (typeof deviceNames)[number];

/** What each device is, in a word or two for a plot and in a sentence for the report. */
export const deviceTitles: Record<DeviceName, readonly [short: string, long: string]> = {
  hdd: [
    "hard disk (model)",
    "4 ms before each read, 2 ms before each write, 160 MB/s, one request at a time. The delay filter " +
      "knows no position: 4 ms lie between the 0 of a request that follows its predecessor and the 6 to 8 of one " +
      "that does not",
  ],
  ssd: [
    "SSD (model)",
    "SATA: 1 ms before each read and write, which is the least the filter can do, 16 requests at a time, " +
      "500 MB/s",
  ],
  "own-disk": [
    "this machine's disk",
    "an image file on it that nbdkit keeps out of the page cache (cache=none), no delays",
  ],
  memory: [
    "no delay (memory)",
    "nbdkit memory, which answers at once: what is left is the guest's own time, and no device can be faster",
  ],
  none: ["nswap none", "4 memory servers, no redundancy"],
  mirror: ["nswap mirror", "4 memory servers, each page on two of them"],
  parity: ["nswap parity", "4 memory servers and a parity server, groups of 4"],
};

/** A swap device that runs, until its scope ends it. */
export interface SwapDevice {
  readonly device: GatewayDevice;
  /** What its client has done so far; undefined for a disk. */
  client(): Promise<ClientStatus | undefined>;
}

const NBDKIT_PORT = 10809;
const SERVERS = 4;
/** Room over the device: dead pages lie beside live ones until they are reclaimed. */
const ROOM = 1.25;
const TMPFS_MAGIC = 0x0102_1994;

interface Disk {
  /** nbdkit's, outermost first. */
  readonly filters: readonly string[];
  /** nbdkit's; rates are bits a second. */
  readonly parameters: readonly string[];
}

const disks: Partial<Record<DeviceName, Disk>> = {
  hdd: {
    filters: ["noparallel", "rate", "delay"],
    parameters: ["delay-read=4ms", "delay-write=2ms", "rate=1280M"],
  },
  ssd: { filters: ["rate", "delay"], parameters: ["delay-read=1ms", "delay-write=1ms", "rate=4000M"] },
  "own-disk": { filters: [], parameters: ["cache=none"] },
};

/**
 * Starts a device of `sizeMiB` for a guest in this network; the servers of a cluster behind a link of `linkMbit` if
 * that is not 0.
 */
export async function startDevice(
  name: DeviceName,
  scope: Scope,
  network: GuestNetwork,
  sizeMiB: number,
  linkMbit: number,
): Promise<SwapDevice> {
  if (name === "memory") return startOf(scope, network, ["memory", `${sizeMiB}M`]);
  const disk = disks[name];
  if (disk === undefined) {
    const serversAt = linkMbit > 0 ? await network.farPlace(scope, linkMbit) : network;
    return startCluster(name as Redundancy, scope, network, sizeMiB, serversAt);
  }
  const image = join(temporaryFolder(scope), "disk.img");
  await makeImage(image, sizeMiB);
  const filters = disk.filters.map((filter) => `--filter=${filter}`);
  return startOf(scope, network, [...filters, "file", image, ...disk.parameters]);
}

/** What nbdkit serves with these arguments. */
async function startOf(scope: Scope, network: GuestNetwork, args: readonly string[]): Promise<SwapDevice> {
  await startNbdkit(scope, network, NBDKIT_PORT, args);
  return {
    device: { kind: "gateway", host: HOST_ADDRESS, port: NBDKIT_PORT, exportName: "", discard: false },
    client: async () => undefined,
  };
}

/** An image file with all its blocks there, as a swap partition has. */
async function makeImage(path: string, sizeMiB: number): Promise<void> {
  const { open } = await import("node:fs/promises");
  const file = await open(path, "w");
  const chunk = Buffer.alloc(1024 * 1024, 0xa5);
  for (let i = 0; i < sizeMiB; i++) await file.write(chunk);
  await file.sync();
  await file.close();
}

/** True where image files would lie in memory. */
export function imagesLieInMemory(folder: string): boolean {
  return statfsSync(folder).type === TMPFS_MAGIC;
}

async function startCluster(
  redundancy: Redundancy,
  scope: Scope,
  network: GuestNetwork,
  sizeMiB: number,
  serversAt: Place,
): Promise<SwapDevice> {
  const copies = redundancy === "mirror" ? 2 : 1;
  const cluster = await OutsideCluster.start(scope, network, {
    servers: SERVERS,
    capacityMiB: Math.ceil((sizeMiB * copies * ROOM) / SERVERS),
    parityServers: redundancy === "parity" ? 1 : 0,
    parityCapacityMiB: Math.ceil((sizeMiB * ROOM) / 2),
    redundancy,
    serversAt,
  });
  await cluster.startGateway(sizeMiB);
  return {
    device: { kind: "gateway", host: HOST_ADDRESS, port: cluster.gateway!.nbdPort, exportName: "" },
    client: async () => (await cluster.status()).clients[0],
  };
}
