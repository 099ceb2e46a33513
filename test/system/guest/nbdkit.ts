import type { Child } from "./child.ts";
import { type GuestNetwork, HOST_ADDRESS } from "./network.ts";
import type { Scope } from "./scope.ts";

/** Starts nbdkit outside the guest, at 10.78.0.1:`port`, for trying the harness against a server known to be good. */
export async function startNbdkit(
  scope: Scope,
  network: GuestNetwork,
  port: number,
  args: readonly string[],
): Promise<Child> {
  const child = network.start("nbdkit", ["-f", "-v", "-i", HOST_ADDRESS, "-p", String(port), ...args]);
  scope.defer(async () => void (await child.stop()));
  await child.line(/bound to IP address/, 10_000);
  return child;
}
