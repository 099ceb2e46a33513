import { clientCommand } from "./client.ts";
import type { Command } from "./command.ts";
import { localCommand } from "./local.ts";
import { parityCommand } from "./parity.ts";
import { scrubCommand } from "./scrub.ts";
import { serverCommand } from "./server.ts";
import { simCommand } from "./sim.ts";
import { statusCommand } from "./status.ts";

/** Every command of `nswap`, in the order of --help. */
export const commands: readonly Command[] = [
  serverCommand,
  parityCommand,
  clientCommand,
  localCommand,
  statusCommand,
  scrubCommand,
  simCommand,
];
