import { NswapError } from "./errors.ts";

/** Something the user gave cannot be used: names the option, what was given and what is accepted. Exit status 1. */
export class ConfigError extends NswapError {
  /** The option as the user knows it, for example `--size`, or null where none is to blame. */
  readonly option: string | null;

  constructor(
    option: string | null,
    problem: string,
    more: {
      code?: "BAD_OPTION" | "ADDRESS_REFUSED" | "ADDRESS_IN_USE" | "KEY_UNUSABLE";
      cause?: unknown;
    } = {},
  ) {
    super(more.code ?? "BAD_OPTION", option === null ? problem : `${option}: ${problem}`, {
      cause: more.cause,
    });
    this.name = "ConfigError";
    this.option = option;
  }
}

/** Text from outside made fit for one line of an error message: control characters escaped, length bounded. */
export function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
