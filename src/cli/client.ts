import { ConfigError } from "../base/config-error.ts";
import { logTo } from "../node/log.ts";
import { loadClientNode } from "../node/node-loader.ts";
import type { ClientOptions } from "../node/options.ts";
import { runNode } from "../node/run-node.ts";
import { catalog, groupSizeDefault } from "./catalog.ts";
import type { Command } from "./command.ts";
import { commonOptions, commonSpecs, given, loadKey, required, startFailed } from "./common.ts";
import { type OptionValues, pick } from "./option-spec.ts";

/** What the device is and where it is offered; `local` takes the same. */
export const deviceSpecs = pick(catalog, ["size", "socket", "nbd", "export", "redundancy", "group-size"]);
export const clientSpecs = { ...deviceSpecs, ...commonSpecs };

const defaultControl = { host: "127.0.0.1", port: 7412 };

/** The device's options with their defaults; where it is offered is not checked. @throws ConfigError */
export function deviceOptions(values: OptionValues<typeof deviceSpecs>) {
  return {
    sizeBytes: required("--size", values.size, "the size of the device, for example --size 8G"),
    ...(values.socket === undefined ? {} : { socketPath: values.socket }),
    ...(values.nbd === undefined ? {} : { nbd: values.nbd }),
    exportName: values.export ?? "",
    ...(values.redundancy === undefined ? {} : { redundancy: values.redundancy }),
    groupSize: values["group-size"] ?? groupSizeDefault,
  } as const;
}

/** Typed options with their defaults. @throws ConfigError */
export function clientOptions(values: OptionValues<typeof clientSpecs>): ClientOptions {
  const device = deviceOptions(values);
  if (values.socket === undefined && values.nbd === undefined) {
    throw new ConfigError(
      "--socket or --nbd",
      "is required: where the device is offered, a Unix socket's path or HOST:PORT",
    );
  }
  return { ...commonOptions(values, "client", defaultControl), ...device };
}

export const clientCommand: Command = {
  name: "client",
  describe: "offer the cluster's memory as a block device to swap on (NBD server)",
  serves: true,
  options: clientSpecs,
  configure: (yargs) =>
    yargs
      .example(
        "$0 client --size 8G --socket /run/nswap.sock --peer 10.0.0.1:7411 --key-file key",
        "for this machine",
      )
      .example("$0 client --size 8G --nbd 10.0.0.9:10809 ...", "as a gateway for another machine"),
  async run(commandLine, host) {
    const values = given(clientSpecs, commandLine, host);
    const options = clientOptions(values);
    const log = logTo(host.log, { format: options.log, name: options.name });
    loadKey(options.keyFile);
    if (options.peers.length === 0) log.warn("no --peer given: this client waits for others to find it");
    try {
      const start = await loadClientNode();
      return await runNode(await start(options, log), options.log, log, host);
    } catch (error) {
      return startFailed(error, log);
    }
  },
};
