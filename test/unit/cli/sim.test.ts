import { expect, it } from "vitest";
import { main } from "../../../src/cli/main.ts";
import { FakeHost } from "./fake-host.ts";

async function sim(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const host = new FakeHost();
  const status = await main(["sim", "--nodes", "1,1", ...args], host);
  return { status, out: host.out, err: host.err };
}

it("the last seed that is accepted can be given, and none beyond it is run", async () => {
  const last = String(Number.MAX_SAFE_INTEGER);
  const one = await sim("--seed", last, "--seeds", "1");
  expect(one).toMatchObject({ status: 0, err: "" });
  expect(one.out).toMatch(/^1 runs, 0 failed/);
  expect((await sim("--seed", last, "--seeds", "2")).err).toMatch(/^nswap: --seeds: 2 .*accepted: up to 1$/m);
});
