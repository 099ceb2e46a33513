import { afterAll, beforeAll, expect } from "vitest";
import { runTool, type ToolResult } from "../support/child.ts";
import { Scratch } from "../support/scratch.ts";
import type { ToolName } from "../support/tools.ts";
import { type InteropTarget, startTarget } from "./target.ts";

/** A target for the tests of the enclosing `describe`, and a directory for their files. */
export interface TargetContext {
  readonly target: InteropTarget;
  readonly scratch: Scratch;
}

/** Starts a fresh target before the tests of the enclosing `describe`; ends it, and judges its end, after them. */
export function withTarget(sizeBytes?: number): TargetContext {
  const context: { target?: InteropTarget; scratch?: Scratch } = {};
  beforeAll(async () => {
    context.scratch = new Scratch();
    context.target = await startTarget(sizeBytes);
  }, 60_000);
  afterAll(async () => {
    context.scratch?.remove();
    await context.target?.stop();
  }, 60_000);
  return context as TargetContext;
}

/** Runs a tool that must end with status 0; gives what it said. */
export async function succeed(
  tool: ToolName | "cmp",
  args: readonly string[],
  timeoutMs?: number,
): Promise<ToolResult> {
  const result = await runTool(tool, args, timeoutMs === undefined ? {} : { timeoutMs });
  expect(result.status, `${tool} ${args.join(" ")}\n${result.stdout}${result.stderr}`).toBe(0);
  return result;
}

/** Runs statements in nbdsh (`h` is a handle that is not connected yet); they must all succeed. */
export async function nbdsh(script: string): Promise<string> {
  const result = await runTool("nbdsh", ["-c", script]);
  expect(result.status, `nbdsh\n${result.stdout}${result.stderr}`).toBe(0);
  return result.stdout;
}
