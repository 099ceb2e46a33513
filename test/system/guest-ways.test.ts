import { existsSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { programPath } from "./guest/cluster.ts";
import type { Incident } from "./guest/incidents.ts";
import { skipReason } from "./guest/requirements.ts";
import { Scope } from "./guest/scope.ts";
import { figuresOf } from "./guest/verdict.ts";
import { runWay, type Way } from "./guest/ways.ts";

const COMMON = { times: 1.4, seconds: { stress: 10, random: 5 }, timeoutMs: 480_000 } as const;
const STRICKEN = {
  ...COMMON,
  kind: "gateway",
  memoryMiB: 256,
  servers: 5,
  seconds: { stress: 0, random: 10 },
} as const;

/** A server is lost; when all is protected again it comes back empty, and another one is lost. */
const oneAfterTheOther: readonly Incident[] = [
  { what: "kill", node: "server-2", until: "protected" },
  { what: "start", node: "server-2", until: "seen" },
  { what: "kill", node: "server-4", until: "protected" },
];
const parityThenMemory: readonly Incident[] = [
  { what: "kill", node: "parity-1", until: "seen" },
  { what: "start", node: "parity-1", until: "protected" },
  { what: "kill", node: "server-3", until: "protected" },
];

const WAYS: readonly (Way & { readonly title: string })[] = [
  { ...COMMON, title: "gateway", kind: "gateway", memoryMiB: 256 },
  { ...COMMON, title: "local, unbounded load", kind: "local", memoryMiB: 256 },
  {
    ...COMMON,
    title: "local, bounded load",
    kind: "local",
    bounded: true,
    memoryMiB: 256,
  },
  {
    ...STRICKEN,
    title: "parity, two servers lost, one by one",
    redundancy: "parity",
    incidents: oneAfterTheOther,
  },
  {
    ...STRICKEN,
    title: "parity, parity server lost, then one",
    redundancy: "parity",
    incidents: parityThenMemory,
  },
  {
    ...STRICKEN,
    title: "mirror, two servers lost, one by one",
    redundancy: "mirror",
    incidents: oneAfterTheOther,
  },
  {
    ...COMMON,
    title: "parity, local, bounded load",
    kind: "local",
    bounded: true,
    memoryMiB: 256,
    redundancy: "parity",
  },
];

const reason = skipReason();

describe.skipIf(reason !== undefined)(`a real kernel swaps over nswap${reason ? ` (${reason})` : ""}`, () => {
  let scope = new Scope();
  afterEach(async () => {
    await scope.close();
    scope = new Scope();
  });

  test.each(WAYS)("$title", async (way) => {
    expect(existsSync(programPath()), "the programs are not built: npm run build").toBe(true);
    const { job, report, peaks, incidents, gatewayLog, wrong } = await runWay(scope, way);
    const tail = report.console.lines.slice(-80).join("\n");
    const said = `--- the end of the guest's console ---\n${tail}\n--- the gateway ---\n${gatewayLog.join("\n")}`;
    expect(wrong, `${wrong.join("\n")}\n${said}`).toEqual([]);
    console.log(way.title, { ...figuresOf(job, report), ...Object.fromEntries(peaks.byServer) });
    for (const { what, node, pagesHeld, unprotectedMost, seconds } of incidents) {
      console.log(
        `${what} ${node} (${pagesHeld} pages): ${unprotectedMost} unprotected, over in ${seconds.toFixed(1)} s`,
      );
    }
  });
});
