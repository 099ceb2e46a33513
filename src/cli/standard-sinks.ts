import { limits } from "../base/limits.ts";
import type { LineSink } from "../io/line-sink.ts";
import { isSameFile, openStandard } from "../io/standard-output.ts";

/** What a node's lines go to: standard output and standard error, opened when they are first asked for. */
export class StandardSinks {
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
