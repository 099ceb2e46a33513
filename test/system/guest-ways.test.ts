import { existsSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { programPath } from "./guest/cluster.ts";
import { skipReason } from "./guest/requirements.ts";
import { Scope } from "./guest/scope.ts";
import { figuresOf } from "./guest/verdict.ts";
import { runWay, type Way } from "./guest/ways.ts";

const COMMON = { times: 1.4, seconds: { stress: 10, random: 5 }, timeoutMs: 480_000 } as const;
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
    const { job, report, peaks, wrong } = await runWay(scope, way);
    const tail = report.console.lines.slice(-80).join("\n");
    expect(wrong, `${wrong.join("\n")}\n--- the end of the guest's console ---\n${tail}`).toEqual([]);
    console.log(way.title, { ...figuresOf(job, report), ...Object.fromEntries(peaks.byServer) });
  });
});
