/** A local cluster as a program, of fixture nodes. Arguments: the node's script, then LocalOptions as JSON. */
import { processHost } from "../../../src/cli/process-host.ts";
import { LocalCluster } from "../../../src/node/local-cluster.ts";
import { createLog } from "../../../src/node/log.ts";
import { runNode } from "../../../src/node/run-node.ts";

const [script, options] = process.argv.slice(2);
const log = createLog({ format: "text" });
const cluster = await LocalCluster.start(JSON.parse(options), {
  program: { file: process.execPath, args: [script] },
  key: null,
  log,
  line: (label, text) => process.stderr.write(`[${label}] ${text}\n`),
});
const host = processHost();
await host.end(await runNode(cluster, "text", log, host));
