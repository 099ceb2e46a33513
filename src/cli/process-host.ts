import { closeSync, openSync } from "node:fs";
import { isatty } from "node:tty";
import type { CliHost } from "./command.ts";
import { CommandOutput } from "./command-output.ts";
import { StandardSinks } from "./standard-sinks.ts";

/** A process as what the command line runs within, and its end. */
export interface ProcessHost extends CliHost {
  /** Ends the process with this status once what it wrote has been taken, or cannot be. */
  end(status: number): Promise<never>;
}

/** This process as what the command line runs within. */
export function processHost(): ProcessHost {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  const sinks = new StandardSinks();
  const output = new CommandOutput();
  // A parent that is gone already before anybody listened counts as one that goes now.
  let isOrphan = false;
  process.once("disconnect", () => {
    isOrphan = true;
  });
  return {
    environment: process.env,
    get output() {
      return sinks.output;
    },
    get log() {
      return sinks.log;
    },
    print: (text) => output.write(process.stdout, text),
    complain: (text) => output.write(process.stderr, text),
    endWithReader: () => output.endWithReader(),
    written: () => output.written(),
    terminal: () =>
      process.stdout.isTTY ? { columns: process.stdout.columns, rows: process.stdout.rows } : null,
    on: (event, listener) => {
      process.on(event as NodeJS.Signals, listener);
      if (event === "disconnect" && isOrphan) setImmediate(listener);
    },
    off: (event, listener) => process.off(event, listener),
    async end(status) {
      await output.written();
      const isDone = await sinks.finish();
      for (const fd of terminals) if (!isatty(fd)) replace(fd);
      if (!isDone) endByForce(status);
      return process.exit(status);
    },
  };
}

/** A terminal that is gone makes way for nothing: Node would abort when it puts back its modes at the end. */
function replace(fd: number): void {
  try {
    closeSync(fd);
    // The lowest number that is free.
    openSync("/dev/null", "r+");
  } catch {
    // Then the end is not as neat; what was to be done is done.
  }
}

/**
 * The end of a process waits for the threads of its pool, and one of them may be kept by whoever does not read what it
 * writes. A signal does not wait; that of an orderly end counts as one with those who watch over services.
 */
function endByForce(status: number): void {
  process.removeAllListeners("SIGTERM");
  if (status === 0) process.kill(process.pid, "SIGTERM");
  process.kill(process.pid, "SIGKILL");
}
