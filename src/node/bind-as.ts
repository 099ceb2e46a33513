import { ConfigError } from "../base/config-error.ts";
import { NswapError } from "../base/errors.ts";

const accepted = {
  "--listen": "an address of this machine with a free port, or port 0",
  "--control": "an address of this machine with a free port, or port 0",
  "--nbd": "an address of this machine with a free port, or port 0",
  "--socket": "a path that is free, in a directory that can be written to",
} as const;

/**
 * Waits for what is being bound as an option says.
 * @throws ConfigError that names the option, where its address or path cannot be had; other errors as they are
 */
export async function bindAs<T>(option: keyof typeof accepted, binding: Promise<T>): Promise<T> {
  try {
    return await binding;
  } catch (cause) {
    if (!(cause instanceof NswapError)) throw cause;
    const { code, message } = cause;
    if (code !== "ADDRESS_IN_USE" && code !== "ADDRESS_REFUSED") throw cause;
    throw new ConfigError(option, `${message}; accepted: ${accepted[option]}`, { code, cause });
  }
}
