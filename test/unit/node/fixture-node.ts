/**
 * A node without a data plane, as a program: the real control plane, ready line and way of ending under the options
 * that `nswap local` gives. With FIXTURE_FAIL=LABEL the node of that name ends before it is ready; with
 * FIXTURE_UNLINKED the client says that it has no links to parity servers.
 */
import { parseArgs } from "node:util";
import { formatHostPort, parseHostPort } from "../../../src/base/host-port.ts";
import { processHost } from "../../../src/cli/process-host.ts";
import type { ClientFigures } from "../../../src/membership/node-record.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { createLog } from "../../../src/node/log.ts";
import { type NodeHost, runNode } from "../../../src/node/run-node.ts";
import type { RunningNode } from "../../../src/node/running-node.ts";

const text = { type: "string" } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ name: text, log: text, listen: text, control: text, capacity: text, reserve: text, size: text },
    ...{ redundancy: text, "group-size": text, export: text, nbd: text, socket: text },
    peer: { type: "string", multiple: true },
  },
});
const role = positionals[0] as "server" | "parity" | "client";
const name = values.name ?? "";
if (process.env["FIXTURE_FAIL"] === name) {
  process.stderr.write("this node fails\n");
  process.exit(7);
}

const figures: ClientFigures = {
  ...{ name, redundancy: "none", sizeBytes: 4096, slots: { mapped: 0, sameFilled: 0, onDisk: 0 } },
  ...{ pages: { live: 0, dead: 0, unprotected: 0, lost: 0 }, requests: { inFlight: 0, errors: 0 } },
  traffic: { pagesOut: 0, pagesIn: 0, messagesSent: 0, messagesAsking: 0, bytesSent: 0 },
  recovery: { state: "idle", done: 0, total: 0 },
  links: { servers: 64, parity: process.env["FIXTURE_UNLINKED"] === undefined ? 16 : 0 },
  suspects: [],
  roomNeeded: { servers: 0, parity: 0 },
};

const log = createLog({ format: "text" });
let draining = false;
let tellEnded = () => {};
const ended = new Promise<void>((resolve) => {
  tellEnded = resolve;
});
const plane = await ControlPlane.start({
  listen: parseHostPort(values.control ?? ""),
  seeds: (values.peer ?? []).map(parseHostPort),
  self: () => ({
    ...{ data: null, frames: { used: 0, free: 1, limit: 1 }, draining },
    ...(role === "client" ? { client: figures } : {}),
  }),
  ...{ name, role, log, identity: newIdentity() },
  port: { nodeUp() {}, nodeChanged() {}, nodeGone() {} },
});
const node: RunningNode = {
  ready: {
    ...{ role, name, control: formatHostPort(plane.address) },
    ...(role !== "client" ? { data: "127.0.0.1:1" } : { nbd: `nbd://${values.nbd}/` }),
  },
  ended,
  async drain() {
    draining = true;
    log.info("drained", { at: Number(process.hrtime.bigint() / 1000n) });
    await plane.leave();
    tellEnded();
  },
  stop: tellEnded,
};
const host = processHost();
await host.end(await runNode(node, "text", log, host satisfies NodeHost));
