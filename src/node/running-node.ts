import type { Log } from "../base/log.ts";
import type { MemoryInfo } from "../io/meminfo.ts";
import type { NodeRole } from "../membership/node-record.ts";
import type { ClientOptions, ServerOptions } from "./options.ts";

/** What a node says on standard output once it serves. Addresses as others are to use them. */
export interface ReadyLine {
  readonly role: NodeRole | "local";
  readonly name: string;
  readonly data?: string;
  readonly control: string;
  /** NBD URI; the one of the Unix socket where a client has both. */
  readonly nbd?: string;
  /** NBD URI over TCP, where `nbd` is that of the Unix socket. */
  readonly nbdTcp?: string;
}

/** A node that was started and serves. */
export interface RunningNode {
  readonly ready: ReadyLine;
  /** Resolves once the node has ended in order or was stopped, rejects if it failed. */
  readonly ended: Promise<void>;
  /** First SIGTERM: leave in order. Resolves when that is done; `ended` follows. */
  drain(): Promise<void>;
  /** A later SIGTERM: end at once. */
  stop(): void;
}

/** The composition roots, each in its own file beside this one. */
export type StartServerNode = (
  options: ServerOptions,
  log: Log,
  /** Another machine's memory for tests. */
  readMemory?: () => MemoryInfo,
) => Promise<RunningNode>;
export type StartClientNode = (options: ClientOptions, log: Log) => Promise<RunningNode>;

const fields = ["role", "name", "data", "control", "nbd", "nbdTcp"] as const;

/** `ready role=… name=… data=… control=… nbd=…` with its line end, or the same as JSON. */
export function formatReadyLine(ready: ReadyLine, format: "text" | "json"): string {
  if (format === "json") return `${JSON.stringify({ event: "ready", ...ready })}\n`;
  const pairs = fields.filter((key) => ready[key] !== undefined).map((key) => `${key}=${ready[key]}`);
  return `ready ${pairs.join(" ")}\n`;
}

/** Reads a ready line of either form; null if the line is something else. */
export function parseReadyLine(line: string): ReadyLine | null {
  let given: Record<string, unknown>;
  if (line.startsWith("ready ")) {
    given = Object.fromEntries(
      line
        .trim()
        .split(" ")
        .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
  } else {
    try {
      given = JSON.parse(line);
    } catch {
      return null;
    }
    if (given === null || given["event"] !== "ready") return null;
  }
  const { role, name, control } = given;
  if (typeof role !== "string" || typeof name !== "string" || typeof control !== "string") return null;
  const texts = Object.fromEntries(
    fields.flatMap((key) => (typeof given[key] === "string" ? [[key, given[key]]] : [])),
  );
  return texts as unknown as ReadyLine;
}
