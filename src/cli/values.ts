import { quote } from "../base/config-error.ts";

/** Readers of option values: each takes the text given and throws an Error that says what is accepted. */

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

export const sizeAccepted =
  "a number of bytes, or one with K, M, G or T (powers of 1024), for example 512M or 1.5G";

/** A size in whole bytes; the fraction of a unit is rounded down. */
export function parseSize(text: string): number {
  const parts = /^([0-9]{1,16}(?:\.[0-9]{1,9}(?=[KMGT]))?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const bytes = parts ? Math.floor(Number(parts[1]) * sizeUnits[parts[2].toUpperCase()]) : Number.NaN;
  if (!Number.isSafeInteger(bytes))
    throw new Error(`${quote(text)} is not a size; accepted: ${sizeAccepted}`);
  return bytes;
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** A duration in milliseconds. */
export function parseDuration(text: string): number {
  const parts = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m)$/.exec(text);
  const ms = parts ? Number(parts[1]) * durationUnits[parts[2]] : Number.NaN;
  if (!Number.isSafeInteger(ms)) {
    throw new Error(
      `${quote(text)} is not a duration; accepted: a number with ms, s or m, for example 500ms or 2s`,
    );
  }
  return ms;
}

/** A whole number within bounds. */
export function parseWhole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new Error(`${quote(text)} is not accepted; accepted: a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** One of several words. */
export function parseWord<T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((known) => known === text);
    if (word === undefined) throw new Error(`${quote(text)} is not accepted; accepted: ${words.join(", ")}`);
    return word;
  };
}

/** A yes or no, as environment variables and configuration files give it. */
export function parseYesNo(text: string): boolean {
  if (/^(?:true|yes|on|1)$/i.test(text)) return true;
  if (/^(?:false|no|off|0)$/i.test(text)) return false;
  throw new Error(`${quote(text)} is not accepted; accepted: true or false`);
}

/** Bytes for people: `512 MiB`, `1.5 GiB`. */
export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}
