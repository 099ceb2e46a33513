/** Values that travel beside a log message; never secrets. */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

/**
 * Where a part of the program says what happened. The message is a constant sentence, what varies goes into the
 * fields: lines with the same message are limited in rate together.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Says something that people want to know of, in the same way; default level: info. */
export type Notice = (message: string, fields?: LogFields, level?: "info" | "warn" | "error") => void;

/** Longest text of a field; the rest of it is cut. */
export const fieldCharsMax = 400;

/** A message and its fields in one line, nothing in it that a terminal would obey. */
export function messageText(message: string, fields: LogFields = {}): string {
  let line = message;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${key}=${fieldText(value)}`;
  }
  return line;
}

function fieldText(value: string | number | boolean | null): string {
  const text = String(value).slice(0, fieldCharsMax);
  return /^[\x21\x23-\x7e]+$/.test(text) ? text : JSON.stringify(text).replace(/[\x7f-\x9f]/g, "?");
}

/** A log that says nothing. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
