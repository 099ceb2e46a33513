import { loadParityNode } from "../node/node-loader.ts";
import type { Command } from "./command.ts";
import { runServer, serverSpecs } from "./server.ts";

export const parityCommand: Command = {
  name: "parity",
  describe: "hold parity of the cluster's pages, so that no server's loss loses any (parity server)",
  serves: true,
  options: serverSpecs,
  configure: (yargs) =>
    yargs.example(
      "$0 parity --capacity 8G --key-file key --listen 0.0.0.0:7410 --control 0.0.0.0:7411 --peer 10.0.0.1:7411",
      "on a machine that is no memory server, or its loss takes pages and parity at once",
    ),
  run: (commandLine, host) => runServer("parity", loadParityNode, commandLine, host),
};
