import yargs, { type Argv } from "yargs";
import { ConfigError, quote } from "../base/config-error.ts";
import { NswapError } from "../base/errors.ts";
import { packageVersion } from "../io/package-version.ts";
import { catalog } from "./catalog.ts";
import type { CliHost, Command } from "./command.ts";
import { commands } from "./commands.ts";
import { environmentName } from "./layers.ts";
import type { OptionSpecs } from "./option-spec.ts";

const commandNames = commands.map(({ name }) => name).join(", ");

/** Runs the command line; the exit status. @param args without program and script */
export async function main(args: readonly string[], host: CliHost): Promise<number> {
  let status = 0;
  let shown = "";
  let isRunning = false;
  let parser = yargs([...args])
    .scriptName("nswap")
    .usage("$0 COMMAND: swap to the idle memory of other machines")
    .version(packageVersion())
    .parserConfiguration({ "camel-case-expansion": false, "dot-notation": false, "parse-numbers": false })
    .demandCommand(1, 1, `a command is required: ${commandNames}; see nswap --help`, "one command at a time")
    .strict()
    .exitProcess(false)
    .fail(false)
    .wrap(110)
    .epilog(
      "nswap COMMAND --help says more. A node prints one line when it is ready and leaves in order on SIGTERM.",
    );
  for (const command of commands) {
    parser = parser.command(
      nameAndArguments(command),
      command.describe,
      (y) => configure(y, command),
      async (commandLine) => {
        isRunning = true;
        if (command.serves !== true) host.endWithReader();
        status = await command.run(commandLine, host);
      },
    );
  }
  try {
    const [first] = args;
    if (first !== undefined && !first.startsWith("-") && !commands.some(({ name }) => name === first)) {
      throw new ConfigError(null, `${quote(first)} is not a command; accepted: ${commandNames}`);
    }
    await parser.parseAsync(args.map(plainFlag), {}, (_error, _argv, output) => {
      shown = output;
    });
    if (shown === "") return status;
    host.endWithReader();
    host.print(`${shown}\n`);
    return status;
  } catch (error) {
    const text = isRunning ? problemText(error) : usageText(error, args);
    host.complain(`nswap: ${text}\n`);
    return 1;
  }
}

function configure(parser: Argv, command: Command): Argv {
  const titled = parser.usage(`$0 ${nameAndArguments(command)} [options]: ${command.describe}`);
  const configured = Object.keys(command.options).length === 0 ? titled : layered(titled, command.options);
  return command.configure?.(configured) ?? configured;
}

/** `scrub [node]` */
function nameAndArguments({ name, positional }: Command): string {
  return positional === undefined ? name : `${name} ${positional}`;
}

/** With options that may also come from the environment and a configuration file. */
function layered(parser: Argv, options: OptionSpecs): Argv {
  let configured = parser
    .option("config", {
      type: "string",
      requiresArg: true,
      describe: "JSON file of options; key = option's name",
    })
    .epilog(
      `Each option may also be set by an environment variable (${environmentName("key-file")} for --key-file) or in ` +
        "the --config file; the command line wins over the environment, which wins over the file. " +
        "Sizes take K, M, G, T (powers of 1024).",
    );
  for (const [name, spec] of Object.entries(options)) {
    const describe = spec.argument === "" ? spec.describe : `${spec.argument}: ${spec.describe}`;
    configured =
      spec.kind === "flag"
        ? configured.option(name, { type: "boolean", describe })
        : configured.option(name, { type: "string", requiresArg: true, describe });
  }
  return configured;
}

/**
 * `--insecure=yes` as `--insecure`: for yargs every word but "true" is a no. The words are those of the environment.
 * @throws ConfigError
 */
function plainFlag(arg: string): string {
  const [, name, text] = /^--([a-z-]+)=(.*)$/s.exec(arg) ?? [];
  if (name === undefined || !Object.hasOwn(catalog, name)) return arg;
  const spec: OptionSpecs[string] = catalog[name as keyof typeof catalog];
  if (spec.kind !== "flag") return arg;
  try {
    return spec.parse(text) === true ? `--${name}` : `--no-${name}`;
  } catch (cause) {
    throw new ConfigError(`--${name}`, (cause as Error).message, { cause });
  }
}

/** One line for people; a stack only for what is no fault of the user's. */
function problemText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof NswapError ? error.message : (error.stack ?? error.message);
}

/** What yargs found wrong, in this program's words. */
function usageText(error: unknown, args: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /^Unknown arguments?: (.*)$/.exec(message);
  if (unknown) {
    const names = unknown[1].split(", ").map((name) => asGiven(name, args));
    return `unknown option or argument: ${names.join(", ")}; see nswap COMMAND --help for what is accepted`;
  }
  const bare = /^Not enough arguments following: (.*)$/.exec(message);
  return bare ? `--${bare[1]}: needs a value; see nswap COMMAND --help` : message;
}

function asGiven(name: string, args: readonly string[]): string {
  const option = `${name.length === 1 ? "-" : "--"}${name}`;
  return quote(args.some((arg) => arg === option || arg.startsWith(`${option}=`)) ? option : name);
}
