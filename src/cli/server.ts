import { ConfigError } from "../base/config-error.ts";
import { limits } from "../base/limits.ts";
import { type MemoryInfo, readMemoryInfo } from "../io/meminfo.ts";
import { checkAddressPolicy, checkControlReachable } from "../node/address-policy.ts";
import { logTo } from "../node/log.ts";
import { loadMemoryNode } from "../node/node-loader.ts";
import type { ServerOptions } from "../node/options.ts";
import { runNode } from "../node/run-node.ts";
import type { StartServerNode } from "../node/running-node.ts";
import { catalog } from "./catalog.ts";
import type { CliHost, Command } from "./command.ts";
import { commonOptions, commonSpecs, given, loadKey, startFailed } from "./common.ts";
import { type OptionValues, pick } from "./option-spec.ts";
import { formatSize } from "./values.ts";

export const serverSpecs = { ...pick(catalog, ["listen", "capacity", "reserve"]), ...commonSpecs };

const reserveBytesDefault = 256 * 1024 ** 2;
const defaultListen = { host: "127.0.0.1", port: 7410 };
const defaultControl = { host: "127.0.0.1", port: 7411 };

/** Typed options with their defaults, of a memory server or a parity server. @throws ConfigError */
export function serverOptions(
  values: OptionValues<typeof serverSpecs>,
  memory: MemoryInfo,
  role: "server" | "parity" = "server",
): ServerOptions {
  return {
    ...commonOptions(values, role, defaultControl),
    listen: values.listen ?? defaultListen,
    capacityBytes: capacityOf(values.capacity, memory, values.reserve),
    reserveBytes: values.reserve ?? reserveBytesDefault,
  };
}

/**
 * The capacity given, or half of what is available, but no more than the reserve leaves of it.
 * @param among how many servers of this machine share it
 */
export function capacityOf(
  given: number | undefined,
  memory: MemoryInfo,
  reserveBytes = reserveBytesDefault,
  among = 1,
): number {
  if (given === undefined) {
    const { availableBytes } = memory;
    const share = Math.max(0, Math.min(availableBytes / 2, availableBytes - reserveBytes)) / among;
    return Math.max(limits.lendUnitBytes, share - (share % limits.lendUnitBytes));
  }
  if (given * among > memory.totalBytes) {
    const most = formatSize(memory.totalBytes / among);
    throw new ConfigError(
      "--capacity",
      `${formatSize(given)} is more than the memory there is; accepted: up to ${most}`,
    );
  }
  return given;
}

/** Runs a server of either role to its end; the exit status. @throws ConfigError before anything starts */
export async function runServer(
  role: "server" | "parity",
  load: () => Promise<StartServerNode>,
  commandLine: Readonly<Record<string, unknown>>,
  host: CliHost,
): Promise<number> {
  const options = serverOptions(given(serverSpecs, commandLine, host), readMemoryInfo(), role);
  const log = logTo(host.log, { format: options.log, name: options.name });
  const { listen, control, insecure, keyFile } = options;
  const hasKey = loadKey(keyFile) !== null;
  checkAddressPolicy({ addresses: { "--listen": listen, "--control": control }, hasKey, insecure }, log);
  checkControlReachable(listen, control);
  try {
    const start = await load();
    return await runNode(await start(options, log), options.log, log, host);
  } catch (error) {
    return startFailed(error, log);
  }
}

export const serverCommand: Command = {
  name: "server",
  describe: "lend this machine's idle memory (memory server)",
  serves: true,
  options: serverSpecs,
  configure: (yargs) =>
    yargs
      .example(
        "$0 server --capacity 8G --key-file key --listen 0.0.0.0:7410 --control 0.0.0.0:7411",
        "on a network",
      )
      .example("$0 server --peer 10.0.0.1:7411 ...", "join the cluster that 10.0.0.1 is part of"),
  run: (commandLine, host) => runServer("server", loadMemoryNode, commandLine, host),
};
