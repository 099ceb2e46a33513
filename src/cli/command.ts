import type { Argv } from "yargs";
import type { LineSink } from "../io/line-sink.ts";
import type { NodeHost } from "../node/run-node.ts";
import type { OptionSpecs } from "./option-spec.ts";

/** What the command line runs within: a process, or a test's stand-in for one. */
export interface CliHost extends NodeHost {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where a node's log goes: standard error, never waited for. */
  readonly log: LineSink;
  /** Writes to standard output, as a command does that ends: it waits for who reads. */
  print(text: string): void;
  /** Writes to standard error in the same way. */
  complain(text: string): void;
  /** From now on the end of who reads the output is the end of the command: for all that are no nodes. */
  endWithReader(): void;
  /** Resolves when what was written so far has been taken. */
  written(): Promise<void>;
  /** The terminal's size if standard output is one, else null. */
  terminal(): { columns: number; rows: number } | null;
}

/** One command, in a file of its own; listed in `commands.ts`. */
export interface Command {
  readonly name: string;
  /** Arguments without a name, as yargs writes them: `[node]`. */
  readonly positional?: string;
  readonly describe: string;
  /** It runs nodes, which go on though nobody reads what they say. */
  readonly serves?: true;
  /** Options that may also come from the environment or a configuration file. */
  readonly options: OptionSpecs;
  /** Options of the command line alone, and examples. */
  configure?(yargs: Argv): Argv;
  /** Runs to its end; the exit status. @throws ConfigError before anything starts */
  run(commandLine: Readonly<Record<string, unknown>>, host: CliHost): Promise<number>;
}
