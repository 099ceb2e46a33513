import type { Log, LogFields } from "../base/log.ts";

export type LogFormat = "text" | "json";
export type LogLevel = "debug" | "info" | "warn" | "error";

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const repeatsPerWindow = 5;
const windowMs = 10_000;
const messagesRememberedMax = 256;
const fieldCharsMax = 400;

export interface LogOptions {
  readonly format: LogFormat;
  /** Said on each line in JSON, so that the lines of several nodes may be mixed. */
  readonly name?: string;
  /** Least level that is written; default info. */
  readonly level?: LogLevel;
  /** Takes a line with its end; default standard error. */
  readonly write?: (line: string) => void;
  /** Milliseconds since the epoch; default the clock. */
  readonly nowMs?: () => number;
}

interface Repeats {
  windowEndMs: number;
  count: number;
  suppressed: number;
}

/**
 * A log on standard error, one line an event. Of one message at most 5 lines in 10 s are written; the next one after
 * that says how many were left out, so that a fault that repeats cannot fill a disk or slow down a node.
 */
export function createLog(options: LogOptions): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const nowMs = options.nowMs ?? Date.now;
  const least = levels.indexOf(options.level ?? "info");
  const repeats = new Map<string, Repeats>();
  const say = (level: LogLevel, message: string, fields: LogFields = {}) => {
    if (levels.indexOf(level) < least) return;
    const now = nowMs();
    const left = admit(repeats, `${level} ${message}`, now);
    if (left === null) return;
    const all = left === 0 ? fields : { ...fields, leftOut: left };
    const time = new Date(now).toISOString();
    write(
      options.format === "json"
        ? jsonLine(time, level, options.name, message, all)
        : textLine(time, level, message, all),
    );
  };
  return {
    debug: (message, fields) => say("debug", message, fields),
    info: (message, fields) => say("info", message, fields),
    warn: (message, fields) => say("warn", message, fields),
    error: (message, fields) => say("error", message, fields),
  };
}

/** How many lines of this message were left out before this one, or null if this one is left out too. */
function admit(repeats: Map<string, Repeats>, key: string, nowMs: number): number | null {
  const seen = repeats.get(key);
  if (seen && nowMs < seen.windowEndMs) {
    seen.count++;
    if (seen.count <= repeatsPerWindow) return 0;
    seen.suppressed++;
    return null;
  }
  if (!seen && repeats.size >= messagesRememberedMax) {
    for (const oldest of repeats.keys()) {
      repeats.delete(oldest);
      break;
    }
  }
  repeats.set(key, { windowEndMs: nowMs + windowMs, count: 1, suppressed: 0 });
  return seen?.suppressed ?? 0;
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${message}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${key}=${fieldText(value)}`;
  }
  return `${line}\n`;
}

function fieldText(value: string | number | boolean | null): string {
  const text = String(value).slice(0, fieldCharsMax);
  return /^[\x21\x23-\x7e]+$/.test(text) ? text : JSON.stringify(text).replace(/[\x7f-\x9f]/g, "?");
}

function jsonLine(
  time: string,
  level: LogLevel,
  name: string | undefined,
  message: string,
  fields: LogFields,
): string {
  const bounded = Object.entries(fields).map(([key, value]) => [
    key,
    typeof value === "string" ? value.slice(0, fieldCharsMax) : value,
  ]);
  const node = name === undefined ? {} : { node: name };
  return `${JSON.stringify({ time, level, ...node, message, ...Object.fromEntries(bounded) })}\n`;
}
