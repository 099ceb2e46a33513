import type { Progress } from "../../test/system/guest/console.ts";
import {
  type ClusterStatus,
  type NodeStatus,
  parityServersOf,
  serversOf,
  unprotectedPages,
} from "../../test/system/guest/status.ts";

const BAR_CELLS = 32;
const DARK = "killed".padStart(BAR_CELLS / 2 + 3).padEnd(BAR_CELLS);

/** What the moving picture shows. Rates are in pages a second, smoothed over two readings. */
export interface Picture {
  readonly memoryMiB: number;
  seconds: number;
  step: string;
  status: ClusterStatus | undefined;
  progress: Progress | undefined;
  progressMs: number;
  outPerSecond: number;
  inPerSecond: number;
  /** Servers that were killed, and the pages that each held. */
  readonly killed: Map<string, number>;
}

export function emptyPicture(memoryMiB: number): Picture {
  return {
    memoryMiB,
    seconds: 0,
    step: "",
    status: undefined,
    progress: undefined,
    progressMs: 0,
    outPerSecond: 0,
    inPerSecond: 0,
    killed: new Map(),
  };
}

/** Takes a new reading of the guest's counters, made at `nowMs`. */
export function rateOf(picture: Picture, progress: Progress, nowMs: number): void {
  const before = picture.progress;
  const seconds = (nowMs - picture.progressMs) / 1000;
  if (before !== undefined && seconds > 0) {
    picture.outPerSecond = (picture.outPerSecond + (progress.pagesOut - before.pagesOut) / seconds) / 2;
    picture.inPerSecond = (picture.inPerSecond + (progress.pagesIn - before.pagesIn) / seconds) / 2;
  }
  picture.progress = progress;
  picture.progressMs = nowMs;
}

/** The picture as lines for a terminal. */
export function frameLines(picture: Picture): string[] {
  const guest = picture.progress;
  const lines = [
    "",
    `  ${clock(picture.seconds)}  ${picture.step}`,
    "",
    `  guest     memory free ${mib(guest?.memFreeKiB)} of ${picture.memoryMiB} MiB` +
      `    in swap ${mib(guest?.swapUsedKiB)} MiB`,
    `            out ${rate(picture.outPerSecond)} pages/s  ${count(guest?.pagesOut)} in all`,
    `            in  ${rate(picture.inPerSecond)} pages/s  ${count(guest?.pagesIn)} in all`,
    "",
  ];
  if (picture.status !== undefined) {
    for (const store of storesOf(picture, picture.status)) lines.push(serverLine(picture, store));
    lines.push("", protectionLine(picture.status));
  }
  lines.push("");
  return lines;
}

/** Memory servers, then parity servers; those that were killed are shown for ever, though the cluster forgets them. */
function storesOf({ killed }: Picture, status: ClusterStatus): NodeStatus[] {
  const stores = [...serversOf(status), ...parityServersOf(status)];
  const gone = [...killed.keys()].filter((name) => !stores.some((store) => store.name === name));
  for (const name of gone) {
    stores.push({ name, role: "server", state: "down", pid: 0, frames: { used: 0, free: 0, limit: 0 } });
  }
  const order = (store: NodeStatus): string => `${store.role === "parity" ? 1 : 0} ${store.name}`;
  return stores.sort((a, b) => order(a).localeCompare(order(b)));
}

/** A server that was killed goes dark. */
function serverLine({ killed }: Picture, { name, frames: { used, limit } }: NodeStatus): string {
  const went = killed.get(name);
  if (went !== undefined) return `  ${name.padEnd(9)} [${DARK}] ${count(went)} pages went with it`;
  return `  ${name.padEnd(9)} [${bar(used, limit)}] ${count(used)} / ${limit.toLocaleString("en")} pages`;
}

/** What the loss of one more server would take away, and how far the work against that is. */
function protectionLine(status: ClusterStatus): string {
  const unprotected = `unprotected ${count(unprotectedPages(status))} pages`;
  const working = status.clients.find(({ recovery }) => recovery.state !== "idle")?.recovery;
  if (working === undefined) return `  ${unprotected}`;
  const { state, done, total } = working;
  return `  ${unprotected}    ${state} [${bar(done, total)}] ${count(done)} / ${total.toLocaleString("en")}`;
}

/** The picture as one line, for output that is not a terminal. */
export function plainLine(picture: Picture): string {
  const guest = picture.progress;
  const servers = (picture.status ? storesOf(picture, picture.status) : [])
    .filter(({ role }) => role === "server")
    .map(({ name, frames }) => (picture.killed.has(name) ? "killed" : frames.used));
  const unprotected = picture.status ? unprotectedPages(picture.status) : 0;
  return (
    `${clock(picture.seconds)} free=${mib(guest?.memFreeKiB).trim()}MiB swap=${mib(guest?.swapUsedKiB).trim()}MiB ` +
    `out=${guest?.pagesOut ?? 0} (${Math.round(picture.outPerSecond)}/s) in=${guest?.pagesIn ?? 0} ` +
    `(${Math.round(picture.inPerSecond)}/s) held by servers: ${servers.join(" ")} unprotected: ${unprotected}`
  );
}

/** A bar of fixed width; a server that holds anything shows at least one cell. */
export function bar(used: number, limit: number): string {
  const share = limit > 0 ? Math.min(1, used / limit) : 0;
  const cells = used > 0 ? Math.max(1, Math.round(share * BAR_CELLS)) : 0;
  return "#".repeat(cells).padEnd(BAR_CELLS, ".");
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}

function mib(kib: number | undefined): string {
  return String(Math.round((kib ?? 0) / 1024)).padStart(4);
}

function rate(perSecond: number): string {
  return Math.round(perSecond).toLocaleString("en").padStart(7);
}

function count(pages: number | undefined): string {
  return (pages ?? 0).toLocaleString("en").padStart(9);
}
