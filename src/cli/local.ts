import { fileURLToPath } from "node:url";
import { ConfigError } from "../base/config-error.ts";
import { silentLog } from "../base/log.ts";
import { readMemoryInfo } from "../io/meminfo.ts";
import { checkAddressPolicy } from "../node/address-policy.ts";
import { LocalCluster, type LocalOptions } from "../node/local-cluster.ts";
import { type LogFormat, logTo } from "../node/log.ts";
import { sayRedundancy } from "../node/redundancy-choice.ts";
import { runNode } from "../node/run-node.ts";
import { catalog } from "./catalog.ts";
import { deviceOptions, deviceSpecs } from "./client.ts";
import type { Command } from "./command.ts";
import { given, loadKey, startFailed } from "./common.ts";
import { type OptionValues, pick } from "./option-spec.ts";
import { capacityOf } from "./server.ts";

export const localSpecs = {
  ...pick(catalog, ["servers", "parity"]),
  capacity: {
    ...catalog.capacity,
    describe:
      "most memory that each server lends (default: a share of half of what is available at the start)",
  },
  ...pick(catalog, ["reserve", "respawn"]),
  ...deviceSpecs,
  name: { ...catalog.name, describe: "name of the cluster in its ready line and log (default local)" },
  control: {
    ...catalog.control,
    describe: "the client's control port (default 127.0.0.1 and a free one, see the ready line)",
  },
  ...pick(catalog, ["key-file", "insecure", "log"]),
};

const serversDefault = 4;
const parityDefault = 1;
const anyPort = { host: "127.0.0.1", port: 0 };

/** Typed options with their defaults. @throws ConfigError */
export function localOptions(
  values: OptionValues<typeof localSpecs>,
  memory = readMemoryInfo(),
): LocalOptions {
  const servers = values.servers ?? serversDefault;
  const parity = values.parity ?? parityDefault;
  const device = deviceOptions(values);
  if (device.redundancy === "parity" && parity === 0) {
    throw new ConfigError("--redundancy", "parity, and --parity 0; accepted with --parity 1 or more");
  }
  const offered = device.socketPath === undefined && device.nbd === undefined ? { nbd: anyPort } : {};
  return {
    name: values.name ?? "local",
    servers,
    parity,
    capacityBytes: capacityOf(values.capacity, memory, values.reserve, servers + parity),
    ...(values.reserve === undefined ? {} : { reserveBytes: values.reserve }),
    respawn: values.respawn ?? false,
    ...(values["key-file"] === undefined ? {} : { keyFile: values["key-file"] }),
    insecure: values.insecure ?? false,
    log: values.log ?? "text",
    control: values.control ?? anyPort,
    client: { ...device, ...offered, redundancy: device.redundancy ?? (parity > 0 ? "parity" : "none") },
  };
}

/** A node's line among those of others. */
export function labelled(label: string, text: string, format: LogFormat): string {
  if (format === "text") return `[${label}] ${text}\n`;
  return text.startsWith("{") ? `${text}\n` : `${JSON.stringify({ node: label, line: text })}\n`;
}

export const localCommand: Command = {
  name: "local",
  describe: "a whole cluster on this machine, as child processes on loopback",
  serves: true,
  options: localSpecs,
  configure: (yargs) =>
    yargs
      .example(
        "$0 local --size 1G",
        "4 memory servers, a parity server and a client; the ready line says where",
      )
      .example(
        "$0 local --size 1G --socket /tmp/nswap.sock --servers 2 --capacity 1G",
        "NBD on a Unix socket",
      ),
  async run(commandLine, host) {
    const values = given(localSpecs, commandLine, host);
    const options = localOptions(values);
    const log = logTo(host.log, { format: options.log, name: options.name });
    const key = loadKey(options.keyFile);
    const addresses = { "--control": options.control, "--nbd": options.client.nbd };
    // Refused here before anything starts; what is only warned about is for the nodes themselves to say.
    checkAddressPolicy({ addresses, hasKey: key !== null, insecure: options.insecure }, silentLog);
    if (values.redundancy === undefined) sayRedundancy(options.client.redundancy, log);
    const program = {
      file: process.execPath,
      args: [...process.execArgv, fileURLToPath(new URL("../../bin/nswap.js", import.meta.url))],
    };
    const line = (label: string, text: string) => host.log.write(labelled(label, text, options.log));
    try {
      const cluster = await LocalCluster.start(options, { program, key, log, line });
      return await runNode(cluster, options.log, log, host);
    } catch (error) {
      return startFailed(error, log);
    }
  },
};
