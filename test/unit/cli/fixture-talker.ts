/**
 * A process that logs as nodes do and answers as they should: each message asks for something, and is answered.
 * With FIXTURE_NO_REOPEN it cannot open anything once more.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

if (process.env["FIXTURE_NO_REOPEN"] !== undefined) {
  fs.openSync = () => {
    throw new Error("nothing can be opened");
  };
  syncBuiltinESMExports();
}
const { processHost } = await import("../../../src/cli/process-host.ts");
const { logTo } = await import("../../../src/node/log.ts");

const host = processHost();
const log = logTo(host.log, { format: "json", name: "talker" });
let lines = 0;

/** Memory that something still refers to; for this Node is started with --expose-gc. */
function heldBytes(): number {
  gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

process.on(
  "message",
  (asked: { log?: number; print?: string; complain?: string; end?: number; crash?: true }) => {
    for (let i = 0; i < (asked.log ?? 0); i += 1)
      log.info(`line ${lines}`, { line: lines++, text: "x".repeat(50) });
    if (asked.print !== undefined) host.output.write(asked.print);
    if (asked.complain !== undefined) host.complain(asked.complain);
    if (asked.crash) throw new Error("as asked");
    process.send?.({ heldBytes: heldBytes() });
    if (asked.end !== undefined) void host.end(asked.end);
  },
);
