import { limits } from "../base/limits.ts";
import type { LineSink } from "../io/line-sink.ts";
import { isSameFile, openStandard } from "../io/standard-output.ts";
import type { CliHost } from "./command.ts";

/** A process as what the command line runs within, and its end. */
export interface ProcessHost extends CliHost {
  /** Ends the process with this status once its last lines are written, or cannot be. */
  end(status: number): Promise<void>;
}

/** This process as what the command line runs within. */
export function processHost(): ProcessHost {
  const sinks = new StandardSinks();
  const streams = new Set<NodeJS.WriteStream>();
  const stream = (one: NodeJS.WriteStream): NodeJS.WriteStream => {
    // Who reads our output may go away at any time; that must not end a process with an error of its own.
    if (!streams.has(one)) one.on("error", () => {});
    streams.add(one);
    return one;
  };
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
    print: (text) => void stream(process.stdout).write(text),
    complain: (text) => void stream(process.stderr).write(text),
    terminal: () =>
      process.stdout.isTTY ? { columns: process.stdout.columns, rows: process.stdout.rows } : null,
    on: (event, listener) => {
      process.on(event as NodeJS.Signals, listener);
      if (event === "disconnect" && isOrphan) setImmediate(listener);
    },
    off: (event, listener) => process.off(event, listener),
    async end(status) {
      for (const one of streams) await new Promise((resolve) => one.write("", resolve));
      if (!(await sinks.finish())) endByForce(status);
      process.exit(status);
    },
  };
}

/** The sinks of standard output and standard error, opened when they are first asked for. */
class StandardSinks {
  #output: LineSink | undefined;
  #log: LineSink | undefined;

  get output(): LineSink {
    this.#output ??= this.#shared(this.#log) ?? this.#open(1);
    return this.#output;
  }

  get log(): LineSink {
    this.#log ??= this.#shared(this.#output) ?? this.#open(2);
    return this.#log;
  }

  #shared(other: LineSink | undefined): LineSink | undefined {
    return other !== undefined && isSameFile(1, 2) ? other : undefined;
  }

  #open(fd: 1 | 2): LineSink {
    const sink = openStandard(fd);
    process.on("exit", () => sink.lastWords());
    return sink;
  }

  /** False if a thread still writes. */
  async finish(): Promise<boolean> {
    const open = new Set([this.#log, this.#output].filter((sink) => sink !== undefined));
    const done = await Promise.all([...open].map((sink) => sink.finish(limits.logFinishMsMax)));
    return done.every((isDone) => isDone);
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
