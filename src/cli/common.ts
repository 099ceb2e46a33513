import { hostname } from "node:os";
import { ConfigError } from "../base/config-error.ts";
import { controlLimits } from "../base/control-limits.ts";
import type { HostPort } from "../base/host-port.ts";
import type { Log } from "../base/log.ts";
import { ClusterKey } from "../io/cluster-key.ts";
import type { NodeRole } from "../membership/node-record.ts";
import type { CommonOptions } from "../node/options.ts";
import { catalog } from "./catalog.ts";
import type { CliHost } from "./command.ts";
import { readOptions } from "./layers.ts";
import { type OptionSpecs, type OptionValues, pick } from "./option-spec.ts";

export const commonSpecs = pick(catalog, ["name", "control", "peer", "key-file", "insecure", "log"]);

/** The options of a node that do not depend on its role. */
export function commonOptions(
  values: OptionValues<typeof commonSpecs>,
  role: NodeRole,
  control: HostPort,
): CommonOptions {
  return {
    name: values.name ?? defaultName(role),
    control: values.control ?? control,
    peers: values.peer ?? [],
    ...(values["key-file"] === undefined ? {} : { keyFile: values["key-file"] }),
    insecure: values.insecure ?? false,
    log: values.log ?? "text",
  };
}

/** The options of a command from all three layers; warnings go to standard error. */
export function given<S extends OptionSpecs>(
  specs: S,
  commandLine: Readonly<Record<string, unknown>>,
  host: CliHost,
): OptionValues<S> {
  const sources = { commandLine, environment: host.environment };
  return readOptions(specs, sources, (text) => host.complain(`nswap: ${text}\n`));
}

/** Host name and role, fit to be a name. */
export function defaultName(role: string, host = hostname()): string {
  const bare = host.replace(/\..*$/, "").replace(/[^A-Za-z0-9_-]/g, "-");
  const stem = bare.replace(/^[^A-Za-z0-9]+/, "").slice(0, controlLimits.nameCharsMax - role.length - 1);
  return `${stem === "" ? "node" : stem}-${role}`;
}

/** The cluster key, or null where none is given. Read before anything starts. */
export function loadKey(keyFile: string | undefined): ClusterKey | null {
  return keyFile === undefined ? null : ClusterKey.load(keyFile);
}

/** An option that must be given. */
export function required<T>(option: string, value: T | undefined, what: string): T {
  if (value === undefined) throw new ConfigError(option, `is required: ${what}`);
  return value;
}

/** Says a failed start as an error of the log and gives the exit status. */
export function startFailed(error: unknown, log: Log): number {
  if (error instanceof ConfigError) throw error;
  log.error("the node could not be started", {
    error: error instanceof Error ? error.message : String(error),
  });
  return 1;
}
