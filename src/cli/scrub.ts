import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError, quote } from "../base/config-error.ts";
import { parseHostPort } from "../base/host-port.ts";
import type { ClusterKey } from "../io/cluster-key.ts";
import { ControlError } from "../io/control/control-error.ts";
import type { ScrubFigures } from "../membership/node-record.ts";
import type { StatusDocument, StatusNode } from "../membership/status-document.ts";
import { StatusClient } from "../node/status-client.ts";
import type { CliHost, Command } from "./command.ts";
import { given, loadKey } from "./common.ts";
import { askSpecs, askStatus, defaultControl, problemText } from "./status.ts";
import { progress } from "./status-view.ts";

const lookEveryMs = 500;

export const scrubCommand: Command = {
  name: "scrub",
  positional: "[node]",
  describe: "compare all parity groups with their members now, at all parity servers or at NODE",
  options: askSpecs,
  configure: (yargs) =>
    yargs
      .positional("node", { type: "string", describe: "name of a parity server; all of them if left out" })
      .example(
        "$0 scrub --control 127.0.0.1:7412",
        "exit status 1 if a group is wrong or could not be compared",
      ),
  async run(commandLine, host) {
    const values = given(askSpecs, commandLine, host);
    const address = values.control ?? defaultControl;
    const key = loadKey(values["key-file"]);
    const node = commandLine["node"];
    let document: StatusDocument;
    try {
      document = await askStatus(address, key);
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      host.complain(`nswap scrub: ${problemText(address, error)}\n`);
      return 1;
    }
    const targets = parityServers(document, typeof node === "string" ? node : undefined);
    const fine = await Promise.all(targets.map((target) => scrub(target, key, host)));
    return fine.every((one) => one) ? 0 : 1;
  },
};

/** @throws ConfigError if there is none, or none of that name */
function parityServers({ nodes }: StatusDocument, name: string | undefined): StatusNode[] {
  const all = nodes.filter((node) => node.role === "parity");
  if (all.length === 0) throw new ConfigError(null, "the cluster has no parity server: nothing to scrub");
  const chosen = all.filter((node) => name === undefined || node.name === name);
  if (chosen.length > 0) return chosen;
  const known = all
    .map((node) => node.name)
    .sort()
    .join(", ");
  throw new ConfigError(null, `${quote(name!)} is no parity server of this cluster; accepted: ${known}`);
}

/** One pass at one server, to its end; false if it found a mismatch, or left open whether there is one. */
async function scrub(node: StatusNode, key: ClusterKey | null, host: CliHost): Promise<boolean> {
  let client: StatusClient | null = null;
  try {
    client = await StatusClient.connect(parseHostPort(node.control), key);
    const before = figuresOf(await client.status());
    if (!(await client.scrub())) throw new ControlError("PROTOCOL", "it is no parity server");
    return await untilDone(node.name, client, before, host);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    host.complain(`nswap scrub: ${node.name}: ${problemText(parseHostPort(node.control), error)}\n`);
    return false;
  } finally {
    client?.close();
  }
}

async function untilDone(
  name: string,
  client: StatusClient,
  before: ScrubFigures,
  host: CliHost,
): Promise<boolean> {
  let shown = "";
  for (;;) {
    const document = await client.status();
    const now = figuresOf(document);
    if (now.state === "idle" && now.passes > before.passes) {
      const counts = countsSince(before, now);
      const { compared, skipped, mismatches } = counts;
      const found = `${mismatches} ${mismatches === 1 ? "mismatch" : "mismatches"}`;
      host.print(`${name}: ${compared} groups compared, ${skipped} skipped, ${found}\n`);
      for (const why of whySkipped(counts, document)) host.print(`${name}: ${why}\n`);
      return mismatches === 0 && isProof(counts);
    }
    const line = `${name}: ${progress(now.done, now.total, "frames")}`;
    if (now.state === "running" && line !== shown) host.print(`${line}\n`);
    shown = line;
    await sleep(lookEveryMs);
  }
}

/** What one pass came to. */
interface PassCounts {
  readonly compared: number;
  readonly skipped: number;
  /** Of those skipped: for want of a memory server that answers. */
  readonly unreachable: number;
  readonly mismatches: number;
}

function countsSince(before: ScrubFigures, now: ScrubFigures): PassCounts {
  return {
    compared: now.scrubbed - before.scrubbed,
    skipped: now.skipped - before.skipped,
    unreachable: now.unreachable - before.unreachable,
    mismatches: now.mismatches - before.mismatches,
  };
}

/** Groups that change while they are looked at leave nothing open; those out of reach do, and a pass with no other. */
const isProof = ({ compared, skipped, unreachable }: PassCounts): boolean =>
  unreachable === 0 && (skipped === 0 || compared > 0);

/** Sentences on what was skipped, as far as known. */
function whySkipped(counts: PassCounts, { nodes }: StatusDocument): string[] {
  const { compared, skipped, unreachable } = counts;
  const why: string[] = [];
  if (unreachable > 0) {
    const away = nodes.filter(({ role, state }) => role === "server" && state !== "up");
    const who = away.length === 0 ? "" : ` (not up: ${away.map((node) => node.name).join(", ")})`;
    why.push(`${unreachable} groups were not compared: a memory server of theirs does not answer${who}`);
  }
  if (skipped > unreachable) {
    const changing = skipped - unreachable;
    why.push(`${changing} groups were not compared: a page is no longer where it was, as when clients write`);
  }
  if (compared === 0 && skipped > 0) why.push("no group was compared, so nothing is proved");
  return why;
}

/** The figures of the node that was asked itself. @throws ControlError if it has none */
function figuresOf({ self, nodes }: StatusDocument): ScrubFigures {
  const scrub = nodes.find((node) => node.name === self)?.scrub;
  if (scrub === undefined) throw new ControlError("PROTOCOL", "it is no parity server");
  return scrub;
}
