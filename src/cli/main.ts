import yargs, { type Argv } from "yargs";
import { NswapError } from "../base/errors.ts";
import { packageVersion } from "../io/package-version.ts";
import type { CliHost, Command } from "./command.ts";
import { commands } from "./commands.ts";
import { environmentName } from "./layers.ts";

/** Runs the command line; the exit status. @param args without program and script */
export async function main(args: readonly string[], host: CliHost): Promise<number> {
  let status = 0;
  let shown = "";
  let parser = yargs([...args])
    .scriptName("nswap")
    .usage("$0 COMMAND: swap to the idle memory of other machines")
    .version(packageVersion())
    .parserConfiguration({ "camel-case-expansion": false, "dot-notation": false, "parse-numbers": false })
    .demandCommand(1, 1, "a command is required; see nswap --help", "one command at a time; see nswap --help")
    .strict()
    .exitProcess(false)
    .fail(false)
    .wrap(110)
    .epilog(
      "nswap COMMAND --help says more. A node prints one line when it is ready and leaves in order on SIGTERM.",
    );
  for (const command of commands) {
    parser = parser.command(
      command.name,
      command.describe,
      (y) => configure(y, command),
      async (commandLine) => {
        status = await command.run(commandLine, host);
      },
    );
  }
  try {
    await parser.parseAsync([...args], {}, (_error, _argv, output) => {
      shown = output;
    });
    if (shown !== "") host.print(`${shown}\n`);
    return status;
  } catch (error) {
    host.complain(`nswap: ${problemText(error)}\n`);
    return 1;
  }
}

function configure(parser: Argv, command: Command): Argv {
  let configured = parser
    .usage(`$0 ${command.name} [options]: ${command.describe}`)
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
  for (const [name, spec] of Object.entries(command.options)) {
    const describe = spec.argument === "" ? spec.describe : `${spec.argument}: ${spec.describe}`;
    configured =
      spec.kind === "flag"
        ? configured.option(name, { type: "boolean", describe })
        : configured.option(name, { type: "string", requiresArg: true, describe });
  }
  return command.configure?.(configured) ?? configured;
}

/** One line for people; a stack only for what is no fault of the user's. */
function problemText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const unknown = /^Unknown arguments?: (.*)$/.exec(error.message);
  if (unknown) {
    const names = unknown[1].split(", ").map((name) => (name.length === 1 ? `-${name}` : `--${name}`));
    return `unknown option or argument: ${names.join(", ")}; see --help for what is accepted`;
  }
  const isUsers = error instanceof NswapError || error.name === "YError";
  return isUsers ? error.message : (error.stack ?? error.message);
}
