/**
 * An option as data: how it is shown in --help and how its text is read. The same reader serves the command line,
 * the environment and the configuration file.
 */
export interface OptionSpec<T = unknown> {
  readonly kind: "one" | "many" | "flag";
  /** What stands for the value in --help. */
  readonly argument: string;
  readonly describe: string;
  readonly parse: (text: string) => T;
}

export interface One<T> extends OptionSpec<T> {
  readonly kind: "one";
}
export interface Many<T> extends OptionSpec<T> {
  readonly kind: "many";
}
export interface Flag extends OptionSpec<boolean> {
  readonly kind: "flag";
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The values of a set of options: undefined where none was given. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]:
    | undefined
    | (S[K] extends Flag
        ? boolean
        : S[K] extends Many<infer T>
          ? readonly T[]
          : S[K] extends One<infer T>
            ? T
            : never);
};

/** A part of a catalog, by name. */
export function pick<S extends OptionSpecs, K extends keyof S>(specs: S, names: readonly K[]): Pick<S, K> {
  return Object.fromEntries(names.map((name) => [name, specs[name]])) as Pick<S, K>;
}
