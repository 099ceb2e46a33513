import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./child.ts";
import { type GuestNetwork, HOST_ADDRESS } from "./network.ts";
import { temporaryFolder } from "./own-things.ts";
import type { Scope } from "./scope.ts";

const READY_MS_MAX = 10_000;
const LOOK_EVERY_MS = 20;

/** Starts nbdkit outside the guest, at 10.78.0.1:`port`; resolves when it listens. */
export async function startNbdkit(
  scope: Scope,
  network: GuestNetwork,
  port: number,
  args: readonly string[],
): Promise<Child> {
  // Written when it listens.
  const pidFile = join(temporaryFolder(scope), "nbdkit.pid");
  const child = network.start("nbdkit", [
    "-f",
    "-P",
    pidFile,
    "-i",
    HOST_ADDRESS,
    "-p",
    String(port),
    ...args,
  ]);
  scope.defer(async () => void (await child.stop()));
  const deadline = performance.now() + READY_MS_MAX;
  while (!existsSync(pidFile)) {
    if (!child.running || performance.now() > deadline)
      throw new Error(`${child.command}: does not listen\n${child.tail.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return child;
}
