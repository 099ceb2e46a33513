import { type ParseArgsConfig, parseArgs } from "node:util";

/** The command line was wrong; the message says how. */
export class UsageError extends Error {}

/** A number from the command line. Throws UsageError. */
export function numberIn(option: string, text: string, min: number, max: number, isInteger: boolean): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= min && value <= max) || (isInteger && !Number.isInteger(value))) {
    const kind = isInteger ? "a whole number" : "a number";
    throw new UsageError(`${option} ${text}: ${kind} from ${min} to ${max} is accepted`);
  }
  return value;
}

/** The items that a list of names, by commas, chooses. Throws UsageError. */
export function chosen<T>(
  option: string,
  text: string | undefined,
  defaults: readonly string[],
  all: readonly T[],
  nameOf: (item: T) => string,
): T[] {
  const names = text === undefined ? defaults : text.split(",");
  return names.map((name) => {
    const item = all.find((candidate) => nameOf(candidate) === name);
    if (item === undefined) {
      throw new UsageError(`${option} ${name}: accepted are ${all.map(nameOf).join(", ")}`);
    }
    return item;
  });
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/** The values of these options. Throws UsageError for what is none of them. */
export function valuesOf<T extends Options>(
  argv: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; options: T }>>["values"] {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
