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

/** A log that says nothing. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
