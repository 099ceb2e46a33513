import { main } from "./main.ts";
import { processHost } from "./process-host.ts";

/** Runs the command line and ends this process with its status. */
export async function runProcess(args: readonly string[]): Promise<never> {
  const host = processHost();
  return await host.end(await main(args, host));
}
