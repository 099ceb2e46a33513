import { controlLimits } from "./control-limits.ts";
import { parseHostPort } from "./host-port.ts";

/** A value from outside that is not what it should be. The message names the field. */
export class InvalidRecordError extends Error {
  readonly code = "INVALID_RECORD";
  override readonly name = "InvalidRecordError";
}

/** Names are shown on terminals, in metrics and in `key=value` lines, hence the narrow alphabet. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const nameAccepted = "1 to 63 letters, digits, '.', '_' and '-', beginning with a letter or digit";

/** A foreign value as an object whose fields may be read. Throws InvalidRecordError. */
export function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidRecordError(`${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

/** A whole number from 0 to 2^53 - 1. Throws InvalidRecordError. */
export function asCount(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidRecordError(`${what} is not a whole number of 0 or more`);
  }
  return value;
}

/** One of the words given. Throws InvalidRecordError. */
export function asOneOf<T extends string>(value: unknown, words: readonly T[], what: string): T {
  const found = words.find((word) => word === value);
  if (found === undefined) throw new InvalidRecordError(`${what} is none of ${words.join(", ")}`);
  return found;
}

export function asName(value: unknown, what: string): string {
  if (typeof value !== "string" || !namePattern.test(value)) {
    throw new InvalidRecordError(`${what} is not a name (${nameAccepted})`);
  }
  return value;
}

export function asIdentity(value: unknown, what: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{32}$/.test(value)) {
    throw new InvalidRecordError(`${what} is not 32 hexadecimal digits`);
  }
  return value;
}

export function asAddress(value: unknown, what: string): string {
  if (typeof value !== "string" || value.length > controlLimits.addressCharsMax) {
    throw new InvalidRecordError(`${what} is not an address`);
  }
  try {
    parseHostPort(value);
  } catch (cause) {
    throw new InvalidRecordError(`${what} is not an address`, { cause });
  }
  return value;
}
