import type { Progress } from "../../test/system/guest/console.ts";
import { type ClusterStatus, serversOf } from "../../test/system/guest/status.ts";

const BAR_CELLS = 32;

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
  for (const server of picture.status ? serversOf(picture.status) : []) {
    const { used, limit } = server.frames;
    lines.push(
      `  ${server.name.padEnd(9)} [${bar(used, limit)}] ${count(used)} / ${limit.toLocaleString("en")} pages`,
    );
  }
  lines.push("");
  return lines;
}

/** The picture as one line, for output that is not a terminal. */
export function plainLine(picture: Picture): string {
  const guest = picture.progress;
  const servers = picture.status ? serversOf(picture.status).map((server) => server.frames.used) : [];
  return (
    `${clock(picture.seconds)} free=${mib(guest?.memFreeKiB).trim()}MiB swap=${mib(guest?.swapUsedKiB).trim()}MiB ` +
    `out=${guest?.pagesOut ?? 0} (${Math.round(picture.outPerSecond)}/s) in=${guest?.pagesIn ?? 0} ` +
    `(${Math.round(picture.inPerSecond)}/s) held by servers: ${servers.join(" ")}`
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
