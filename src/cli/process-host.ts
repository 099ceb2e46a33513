import type { CliHost } from "./command.ts";

/** This process as what the command line runs within. */
export function processHost(): CliHost {
  // Who reads our output may go away at any time; that must not end a node whose memory others swap to.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  // A parent that is gone already before anybody listened counts as one that goes now.
  let isOrphan = false;
  process.once("disconnect", () => {
    isOrphan = true;
  });
  return {
    environment: process.env,
    print: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
    terminal: () =>
      process.stdout.isTTY ? { columns: process.stdout.columns, rows: process.stdout.rows } : null,
    on: (event, listener) => {
      process.on(event as NodeJS.Signals, listener);
      if (event === "disconnect" && isOrphan) setImmediate(listener);
    },
    off: (event, listener) => process.off(event, listener),
  };
}
