import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OutsideCluster, type Redundancy } from "./cluster.ts";
import type { ConsoleEvents } from "./console.ts";
import { type Incident, type IncidentEvents, type IncidentReport, IncidentRun } from "./incidents.ts";
import { type GuestJob, loadOf } from "./job.ts";
import { type GuestReport, runGuest } from "./machine.ts";
import { GuestNetwork, HOST_ADDRESS } from "./network.ts";
import { temporaryFolder } from "./own-things.ts";
import type { Scope } from "./scope.ts";
import { type ClusterStatus, PeakPages, unprotectedPages } from "./status.ts";
import { wrongWith, wrongWithSpread } from "./verdict.ts";

/** Memory servers outside the guest, unless a way says otherwise. */
export const SERVERS = 4;
const SOCKET = "/run/nswap.sock";
/** Room over what the device needs: pages of slots that are written again lie beside the new ones. */
const ROOM = 1.25;
const GROUP_SIZE = 4;

/** How a guest is to swap over a cluster outside it. */
export interface Way {
  readonly kind: "gateway" | "local";
  /** Local only: everything but the client is held to a share of the memory. */
  readonly bounded?: boolean;
  readonly memoryMiB: number;
  /** The load against the guest's memory, 1.4 for 40% more than it has. */
  readonly times: number;
  readonly seconds: { readonly stress: number; readonly random: number };
  readonly timeoutMs: number;
  /** Default none. */
  readonly redundancy?: Redundancy;
  readonly servers?: number;
  /** What happens to the cluster under the random load, which goes on until all is over. */
  readonly incidents?: readonly Incident[];
  /** How long the guest has swapped both ways before the first one; default 0. */
  readonly incidentsAfterSeconds?: number;
}

export interface WayEvents extends ConsoleEvents, IncidentEvents {
  /** The cluster is up; the guest boots next. */
  onCluster?(cluster: OutsideCluster): void;
  onStatus?(status: ClusterStatus): void;
}

export interface WayResult {
  readonly job: GuestJob;
  readonly report: GuestReport;
  readonly peaks: PeakPages;
  readonly incidents: readonly IncidentReport[];
  /** The cluster at the end. */
  readonly last: ClusterStatus;
  /** The last lines of the gateway; none where the client is in the guest. */
  readonly gatewayLog: readonly string[];
  /** Everything that was not right; empty when all was. */
  readonly wrong: readonly string[];
}

/** Starts the cluster, boots the guest, lets it swap to the end, and judges. `scope` ends whatever is left. */
export async function runWay(scope: Scope, way: Way, events: WayEvents = {}): Promise<WayResult> {
  const network = await GuestNetwork.create(scope);
  const sizeMiB = way.memoryMiB * 2;
  const cluster = await startCluster(scope, network, way, sizeMiB);
  if (way.kind === "gateway") await cluster.startGateway(sizeMiB);
  events.onCluster?.(cluster);

  const peaks = new PeakPages();
  const incidents = new IncidentRun(cluster, way.incidents ?? [], way.incidentsAfterSeconds ?? 0, events);
  const see = (status: ClusterStatus): void => {
    peaks.see(status);
    incidents.seeStatus(status);
    events.onStatus?.(status);
  };
  const watch = cluster.watch(see);
  const goOnFile = join(temporaryFolder(scope), "go-on");
  const job = jobOf(way, cluster, sizeMiB, goOnFile);
  const happening = happen(incidents, job, goOnFile);
  const report = await runGuest(scope, network, job, {
    onStep: (step) => events.onStep?.(step),
    onProgress: (progress) => {
      incidents.seeProgress(progress);
      events.onProgress?.(progress);
    },
    timeoutMs: way.timeoutMs,
  });
  incidents.end();
  const wrong = [...wrongWith(job, report), ...(await happening)];
  await watch.stop();
  const last = await cluster.status();
  see(last);
  if (report.errors.length === 0 && !way.incidents)
    wrong.push(...wrongWithSpread(peaks, way.servers ?? SERVERS));
  const exposed = way.redundancy === undefined ? 0 : unprotectedPages(last);
  if (exposed > 0) wrong.push(`${exposed} pages are unprotected at the end`);
  wrong.push(...wrongWithClients(last), ...wrongNodes(cluster));
  const gatewayLog = cluster.gateway?.child.tail ?? [];
  return { job, report, peaks, incidents: incidents.reports, last, gatewayLog, wrong };
}

function startCluster(
  scope: Scope,
  network: GuestNetwork,
  way: Way,
  sizeMiB: number,
): Promise<OutsideCluster> {
  const servers = way.servers ?? SERVERS;
  const redundancy = way.redundancy ?? "none";
  const copies = redundancy === "mirror" ? 2 : 1;
  // With one server away the others must do.
  const holding = way.incidents ? servers - 1 : servers;
  return OutsideCluster.start(scope, network, {
    servers,
    capacityMiB: Math.ceil((sizeMiB * copies * ROOM) / holding),
    parityServers: redundancy === "parity" ? 1 : 0,
    // Groups left small by pages that died hold a parity page each.
    parityCapacityMiB: Math.ceil(((sizeMiB * ROOM) / GROUP_SIZE) * 2),
    redundancy,
  });
}

/** Lets the incidents happen; the file that the load waits for is there while they do. */
async function happen(incidents: IncidentRun, job: GuestJob, goOnFile: string): Promise<string[]> {
  if (job.load.whileFile === "") return [];
  writeFileSync(goOnFile, "");
  try {
    return await incidents.run();
  } finally {
    rmSync(goOnFile, { force: true });
  }
}

function jobOf(way: Way, cluster: OutsideCluster, sizeMiB: number, goOnFile: string): GuestJob {
  const load = loadOf(way.memoryMiB, way.times, way.seconds);
  return {
    memoryMiB: way.memoryMiB,
    load: way.incidents ? { ...load, whileFile: goOnFile } : load,
    device: deviceOf(way, cluster, sizeMiB),
  };
}

function deviceOf(way: Way, cluster: OutsideCluster, sizeMiB: number): GuestJob["device"] {
  if (way.kind === "gateway") {
    return { kind: "gateway", host: HOST_ADDRESS, port: cluster.gateway!.nbdPort, exportName: "" };
  }
  return {
    kind: "local",
    command: cluster.insideClientCommand(SOCKET, sizeMiB),
    socket: SOCKET,
    readyPattern: "^ready ",
    exportName: "",
    bounded: way.bounded ?? false,
    reserveMiB: 32,
    protectedMiB: 128,
  };
}

function wrongWithClients(status: ClusterStatus): string[] {
  return status.clients.flatMap((client) => [
    ...(client.requests.errors > 0
      ? [`client ${client.name} answered ${client.requests.errors} errors`]
      : []),
    ...(client.pages.lost > 0 ? [`client ${client.name} lost ${client.pages.lost} pages`] : []),
  ]);
}

function wrongNodes(cluster: OutsideCluster): string[] {
  return cluster.nodes
    .filter((node) => !node.child.running)
    .map((node) => `${node.name} ended by itself:\n${node.child.tail.slice(-20).join("\n")}`);
}
