import type { ClientFigures } from "../membership/node-record.ts";
import { type Shortage, shortagesIn } from "../membership/shortage.ts";
import type { StatusDocument, StatusNode } from "../membership/status-document.ts";
import { formatSize } from "./values.ts";

const frameBytes = 4096;
const barCells = 10;

/** A status document as tables for people, lines without ends. */
export function renderStatus(document: StatusDocument): string[] {
  const { clients, nodes } = document;
  return [
    ...[summary(document), "", ...nodesTable(document), ...clientsTable(clients)],
    ...spaced([
      ...clients.flatMap(recoveryLine),
      ...nodes.flatMap(scrubLine),
      ...shortagesIn(document).map(shortageLine),
    ]),
  ];
}

function summary({ self, nodes }: StatusDocument): string {
  const live = nodes.filter((node) => node.state === "up" || node.state === "draining");
  const stores = live.filter((node) => node.role !== "client");
  const used = stores.reduce((sum, node) => sum + node.frames.used, 0) * frameBytes;
  const limit = stores.reduce((sum, node) => sum + node.frames.limit, 0) * frameBytes;
  const count = nodes.length === 1 ? "1 node" : `${nodes.length} nodes`;
  return `As ${self} sees it: ${count}, ${live.length} up; ${formatSize(used)} used of ${formatSize(limit)} lent`;
}

function nodesTable({ nodes }: StatusDocument): string[] {
  const head = ["NODE", "ROLE", "STATE", "PID", "DATA", "CONTROL", "USED", "", ">FREE", ">LIMIT"];
  return table(head, nodes.map(nodeRow));
}

function nodeRow(node: StatusNode): string[] {
  const { name, role, state, pid, data, control, frames } = node;
  const start = [name, role, state, String(pid), data ?? "-", control];
  if (role === "client") return [...start, "-", "", "-", "-"];
  const share = frames.limit === 0 ? 0 : frames.used / frames.limit;
  const used = `${bar(share)} ${formatSize(frames.used * frameBytes)}`;
  const percent = `${Math.round(share * 100)}%`;
  return [
    ...start,
    used,
    percent,
    formatSize(frames.free * frameBytes),
    formatSize(frames.limit * frameBytes),
  ];
}

function bar(share: number): string {
  const full = Math.min(barCells, Math.max(share > 0 ? 1 : 0, Math.round(share * barCells)));
  return `[${"#".repeat(full)}${".".repeat(barCells - full)}]`;
}

function clientsTable(clients: readonly ClientFigures[]): string[] {
  if (clients.length === 0) return [];
  const head = ["CLIENT", "REDUNDANCY", ">SIZE", ">MAPPED", ">SAME-FILLED", ">ON DISK", ">LIVE", ">DEAD"];
  const more = [">UNPROTECTED", ">LOST", ">IN FLIGHT", ">ERRORS"];
  const rows = clients.map(({ name, redundancy, sizeBytes, slots, pages, requests }) => [
    ...[name, redundancy, formatSize(sizeBytes)],
    ...[slots.mapped, slots.sameFilled, slots.onDisk].map(String),
    ...[pages.live, pages.dead, pages.unprotected, pages.lost].map(String),
    ...[requests.inFlight, requests.errors].map(String),
  ]);
  return ["", ...table([...head, ...more], rows)];
}

const spaced = (lines: readonly string[]): readonly string[] => (lines.length === 0 ? [] : ["", ...lines]);

/** What is under way at a client after a loss: `c: rebuilding, 120 of 480 pages [##........] 25%`. */
function recoveryLine({ name, recovery }: ClientFigures): string[] {
  const { state, done, total } = recovery;
  return state === "idle" ? [] : [`${name}: ${state}, ${progress(done, total, "pages")}`];
}

/** What a parity server has found, once it has looked. */
export function scrubLine({ name, scrub }: StatusNode): string[] {
  if (scrub === undefined || (scrub.state === "idle" && scrub.passes === 0)) return [];
  const { scrubbed, skipped, mismatches, passes } = scrub;
  const now = scrub.state === "running" ? `scrubbing, ${progress(scrub.done, scrub.total, "frames")}; ` : "";
  const found = `${passes} ${passes === 1 ? "pass" : "passes"}, ${scrubbed} groups compared, ${skipped} skipped`;
  return [`${name}: ${now}${found}, ${mismatches} ${mismatches === 1 ? "mismatch" : "mismatches"}`];
}

/** Devices may be larger than what the servers lend, as long as they are not full. */
function shortageLine({ role, needed, offered }: Shortage): string {
  const [servers, then] =
    role === "server" ? ["memory servers", "writers wait"] : ["parity servers", "pages are left unprotected"];
  const [need, lent] = [formatSize(needed * frameBytes), formatSize(offered * frameBytes)];
  return `the devices need up to ${need} of ${servers}, which lend ${lent}: when all of it is in use, ${then}`;
}

/** `120 of 480 pages [###.......] 25%` */
export function progress(done: number, total: number, of: string): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  return `${done} of ${total} ${of} ${bar(share)} ${Math.floor(share * 100)}%`;
}

/** Columns as wide as their widest cell; a title that begins with `>` is of a column of numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const titles = head.map((title) => title.replace(/^>/, ""));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        head[column].startsWith(">") ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join("  ")
      .trimEnd();
  return [line(titles), ...rows.map(line)];
}

/** Lines as one redraw of a terminal: written over what is there, so that nothing flickers. */
export function redraw(lines: readonly string[], size: { columns: number; rows: number }): string {
  const shown = lines.slice(0, Math.max(1, size.rows - 1));
  return `\x1b[H${shown.map((line) => `${line.slice(0, size.columns)}\x1b[K\n`).join("")}\x1b[J`;
}
