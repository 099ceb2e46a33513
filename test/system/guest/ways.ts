import { OutsideCluster } from "./cluster.ts";
import type { ConsoleEvents } from "./console.ts";
import { type GuestJob, loadOf } from "./job.ts";
import { type GuestReport, runGuest } from "./machine.ts";
import { GuestNetwork, HOST_ADDRESS } from "./network.ts";
import type { Scope } from "./scope.ts";
import { type ClusterStatus, PeakPages } from "./status.ts";
import { wrongWith, wrongWithSpread } from "./verdict.ts";

/** Memory servers outside the guest. */
export const SERVERS = 4;
const SOCKET = "/run/nswap.sock";

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
}

export interface WayEvents extends ConsoleEvents {
  /** The cluster is up; the guest boots next. */
  onCluster?(cluster: OutsideCluster): void;
  onStatus?(status: ClusterStatus): void;
}

export interface WayResult {
  readonly job: GuestJob;
  readonly report: GuestReport;
  readonly peaks: PeakPages;
  /** Everything that was not right; empty when all was. */
  readonly wrong: readonly string[];
}

/** Starts the cluster, boots the guest, lets it swap to the end, and judges. `scope` ends whatever is left. */
export async function runWay(scope: Scope, way: Way, events: WayEvents = {}): Promise<WayResult> {
  const network = await GuestNetwork.create(scope);
  const load = loadOf(way.memoryMiB, way.times, way.seconds);
  const sizeMiB = way.memoryMiB * 2;
  const cluster = await OutsideCluster.start(scope, network, {
    servers: SERVERS,
    capacityMiB: Math.ceil((sizeMiB / SERVERS) * 1.25),
  });
  if (way.kind === "gateway") await cluster.startGateway(sizeMiB);
  events.onCluster?.(cluster);
  const job = { memoryMiB: way.memoryMiB, load, device: deviceOf(way, cluster, sizeMiB) };

  const peaks = new PeakPages();
  const see = (status: ClusterStatus): void => {
    peaks.see(status);
    events.onStatus?.(status);
  };
  const watch = cluster.watch(see);
  const report = await runGuest(scope, network, job, { ...eventsOf(events), timeoutMs: way.timeoutMs });
  await watch.stop();
  const last = await cluster.status();
  see(last);
  const wrong = wrongWith(job, report);
  if (report.errors.length === 0) wrong.push(...wrongWithSpread(peaks, SERVERS));
  return {
    job,
    report,
    peaks,
    wrong: [...wrong, ...wrongWithClients(last), ...wrongNodes(cluster)],
  };
}

function eventsOf(events: WayEvents): ConsoleEvents {
  return {
    onStep: (step) => events.onStep?.(step),
    onProgress: (progress) => events.onProgress?.(progress),
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
  const nodes = [...cluster.servers, ...(cluster.gateway ? [cluster.gateway] : [])];
  return nodes
    .filter((node) => !node.child.running)
    .map((node) => `${node.name} ended by itself:\n${node.child.tail.slice(-20).join("\n")}`);
}
