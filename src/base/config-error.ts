/** Something the user gave cannot be used: names the option, what was given and what is accepted. Exit status 1. */
export class ConfigError extends Error {
  readonly code = "CONFIG";

  /** @param option the option as the user knows it, for example `--size`, or null where none is to blame */
  constructor(
    readonly option: string | null,
    problem: string,
    cause?: unknown,
  ) {
    super(option === null ? problem : `${option}: ${problem}`, cause === undefined ? undefined : { cause });
    this.name = "ConfigError";
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
