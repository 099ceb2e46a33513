import { readFileSync, statSync } from "node:fs";
import { ConfigError, quote } from "../base/config-error.ts";
import { catalog } from "./catalog.ts";
import type { OptionSpec, OptionSpecs, OptionValues } from "./option-spec.ts";

/** Where option values come from, the command line first. */
export interface OptionSources {
  /** As yargs leaves it: option name to text, list of texts, or yes or no. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What was given for one option, and what to call it when it is wrong. */
interface Given {
  readonly label: string;
  readonly texts: readonly string[];
}

const environmentPrefix = "NSWAP_";
const configBytesMax = 64 * 1024;

/** The environment variable of an option. */
export function environmentName(option: string): string {
  return environmentPrefix + option.toUpperCase().replaceAll("-", "_");
}

/**
 * The values of a command's options: command line over environment over configuration file.
 *
 * A variable or key of another command is passed over, so that one file may serve all nodes of a machine. A key that
 * no command knows is an error. A variable that no command knows is only warned about: others, Kubernetes for one,
 * make such variables unasked.
 * @throws ConfigError naming the option, the variable or the key
 */
export function readOptions<S extends OptionSpecs>(
  specs: S,
  sources: OptionSources,
  warn: (text: string) => void,
): OptionValues<S> {
  warnOfUnknownVariables(sources.environment, warn);
  const file = configPath(sources);
  const config = file === null ? {} : readConfigFile(file);
  const values = Object.entries(specs).map(([name, spec]) => {
    const given =
      fromCommandLine(name, sources.commandLine) ??
      fromEnvironment(name, spec, sources.environment) ??
      (file === null ? null : fromConfig(name, file, config));
    return [name, given === null ? undefined : read(spec, given)];
  });
  return Object.fromEntries(values) as OptionValues<S>;
}

function read(spec: OptionSpec, given: Given): unknown {
  if (spec.kind !== "many" && given.texts.length !== 1) {
    throw new ConfigError(given.label, `given ${given.texts.length} times; accepted: once`);
  }
  const parsed = given.texts.map((text) => {
    try {
      return spec.parse(text);
    } catch (cause) {
      throw new ConfigError(given.label, (cause as Error).message, { cause });
    }
  });
  return spec.kind === "many" ? parsed : parsed[0];
}

function fromCommandLine(name: string, commandLine: OptionSources["commandLine"]): Given | null {
  const value = commandLine[name];
  if (value === undefined) return null;
  return { label: `--${name}`, texts: (Array.isArray(value) ? value : [value]).map(String) };
}

function fromEnvironment(
  name: string,
  spec: OptionSpec,
  environment: OptionSources["environment"],
): Given | null {
  const label = environmentName(name);
  const value = environment[label];
  if (value === undefined || value === "") return null;
  return { label, texts: spec.kind === "many" ? value.split(",").map((text) => text.trim()) : [value] };
}

function fromConfig(name: string, file: string, config: Readonly<Record<string, unknown>>): Given | null {
  if (!Object.hasOwn(config, name)) return null;
  const label = `${quote(name)} in ${file}`;
  const given = config[name];
  const list = Array.isArray(given) ? given : [given];
  for (const value of list) {
    if (!["string", "number", "boolean"].includes(typeof value)) {
      throw new ConfigError(
        label,
        `${quote(JSON.stringify(value))} is not accepted; accepted: a text, a number, true or false, or a list of them`,
      );
    }
  }
  return { label, texts: list.map(String) };
}

function configPath(sources: OptionSources): string | null {
  const given = sources.commandLine["config"] ?? sources.environment[environmentName("config")];
  if (given === undefined || given === "") return null;
  if (typeof given !== "string") throw new ConfigError("--config", "given more than once; accepted: once");
  return given;
}

function readConfigFile(path: string): Readonly<Record<string, unknown>> {
  const config = parseConfigFile(path);
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new ConfigError(
      "--config",
      `${quote(path)} does not hold a JSON object of options and their values`,
    );
  }
  for (const key of Object.keys(config)) {
    if (Object.hasOwn(catalog, key)) continue;
    const accepted = Object.keys(catalog).join(", ");
    throw new ConfigError(
      "--config",
      `${quote(path)} has the unknown option ${quote(key)}; accepted: ${accepted}`,
    );
  }
  return config as Record<string, unknown>;
}

function parseConfigFile(path: string): unknown {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new Error("it is not a regular file");
    if (stat.size > configBytesMax) throw new Error(`it is larger than ${configBytesMax} bytes`);
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const why =
      cause instanceof SyntaxError
        ? `is not JSON (${cause.message})`
        : `cannot be read: ${(cause as Error).message}`;
    throw new ConfigError("--config", `${quote(path)} ${why}`, { cause });
  }
}

function warnOfUnknownVariables(
  environment: OptionSources["environment"],
  warn: (text: string) => void,
): void {
  const known = new Set([...Object.keys(catalog), "config"].map(environmentName));
  for (const name of Object.keys(environment)) {
    if (name.startsWith(environmentPrefix) && !known.has(name)) {
      warn(`the environment variable ${quote(name)} is not an option of nswap and is ignored`);
    }
  }
}
