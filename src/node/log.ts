import { fieldCharsMax, type Log, type LogFields, messageText } from "../base/log.ts";
import type { LineSink } from "../io/line-sink.ts";

export type LogFormat = "text" | "json";
export type LogLevel = "debug" | "info" | "warn" | "error";

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const repeatsPerWindow = 5;
const windowMs = 10_000;
const messagesRememberedMax = 256;

export interface LogOptions {
  readonly format: LogFormat;
  /** Said on each line in JSON, so that the lines of several nodes may be mixed. */
  readonly name?: string;
  /** Least level that is written; default info. */
  readonly level?: LogLevel;
  /** Takes a line with its end; default standard error. */
  readonly write?: (line: string) => void;
  /** What a line says of the time, in milliseconds since the epoch; default the wall clock. */
  readonly wallMs?: () => number;
  /** What the rate is measured by, in milliseconds; default a clock that nobody can set. */
  readonly nowMs?: () => number;
  /** Calls `act` after so long; default a timer that keeps no process alive. */
  readonly later?: (act: () => void, ms: number) => void;
}

/** Lines of one message within a window. */
interface Repeats {
  windowEndMs: number;
  count: number;
  leftOut: number;
}

/**
 * A log, one line an event. Of one message at most 5 lines in 10 s are written; the next one after that, or else a line
 * of its own, says how many were left out, so that a fault that repeats cannot fill a disk or slow down a node.
 */
export function createLog(options: LogOptions): Log {
  const limited = new LimitedLog(options);
  return {
    debug: (message, fields) => limited.say("debug", message, fields),
    info: (message, fields) => limited.say("info", message, fields),
    warn: (message, fields) => limited.say("warn", message, fields),
    error: (message, fields) => limited.say("error", message, fields),
  };
}

/** A log whose lines go to the sink, and what the sink says of lines that it dropped. */
export function logTo(sink: LineSink, options: Pick<LogOptions, "format" | "name">): Log {
  const text = "lines of the log were dropped: nobody read them in time";
  sink.describeDropped = (count) => formatLine(options, Date.now(), "warn", text, { count });
  return createLog({ ...options, write: (line) => sink.write(line) });
}

class LimitedLog {
  readonly #options: LogOptions;
  readonly #least: number;
  readonly #write: (line: string) => void;
  readonly #wallMs: () => number;
  readonly #nowMs: () => number;
  readonly #later: (act: () => void, ms: number) => void;
  readonly #repeats = new Map<string, Repeats>();

  constructor(options: LogOptions) {
    this.#options = options;
    this.#least = levels.indexOf(options.level ?? "info");
    this.#write = options.write ?? ((line) => void process.stderr.write(line));
    this.#wallMs = options.wallMs ?? Date.now;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#later = options.later ?? ((act, ms) => void setTimeout(act, ms).unref());
  }

  say(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (levels.indexOf(level) < this.#least) return;
    const leftOut = this.#admit(level, message);
    if (leftOut === null) return;
    this.#put(level, message, leftOut === 0 ? fields : { ...fields, leftOut });
  }

  #put(level: LogLevel, message: string, fields: LogFields): void {
    this.#write(formatLine(this.#options, this.#wallMs(), level, message, fields));
  }

  /** How many lines of this message were left out before this one, or null if this one is left out too. */
  #admit(level: LogLevel, message: string): number | null {
    const key = `${level} ${message}`;
    const nowMs = this.#nowMs();
    const seen = this.#repeats.get(key);
    if (seen && nowMs < seen.windowEndMs) {
      seen.count++;
      if (seen.count <= repeatsPerWindow) return 0;
      seen.leftOut++;
      if (seen.leftOut === 1) {
        this.#later(() => this.#sayLeftOut(seen, level, message), seen.windowEndMs - nowMs);
      }
      return null;
    }
    if (!seen && this.#repeats.size >= messagesRememberedMax) this.#forgetOldest();
    this.#repeats.set(key, { windowEndMs: nowMs + windowMs, count: 1, leftOut: 0 });
    const leftOut = seen?.leftOut ?? 0;
    if (seen) seen.leftOut = 0;
    return leftOut;
  }

  /** The window is over and no other line of this message has said it. */
  #sayLeftOut(repeats: Repeats, level: LogLevel, message: string): void {
    const { leftOut } = repeats;
    if (leftOut === 0) return;
    repeats.leftOut = 0;
    this.#put(level, message, { leftOut });
  }

  #forgetOldest(): void {
    for (const oldest of this.#repeats.keys()) {
      this.#repeats.delete(oldest);
      return;
    }
  }
}

function formatLine(
  { format, name }: Pick<LogOptions, "format" | "name">,
  wallMs: number,
  level: LogLevel,
  message: string,
  fields: LogFields,
): string {
  const time = new Date(wallMs).toISOString();
  if (format === "text") return `${time} ${level.padEnd(5)} ${messageText(message, fields)}\n`;
  const bounded = Object.entries(fields).map(([key, value]) => [
    key,
    typeof value === "string" ? value.slice(0, fieldCharsMax) : value,
  ]);
  const node = name === undefined ? {} : { node: name };
  return `${JSON.stringify({ time, level, ...node, message, ...Object.fromEntries(bounded) })}\n`;
}
