import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

let version: string | null = null;

/** The version of this package, from the nearest package.json above this file that is nswap's. */
export function packageVersion(): string {
  if (version !== null) return version;
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const found = versionAt(join(folder, "package.json"));
    if (found !== null || folder === dirname(folder)) {
      version = found ?? "unknown";
      return version;
    }
  }
}

function versionAt(path: string): string | null {
  try {
    const { name, version } = JSON.parse(readFileSync(path, "utf8"));
    return name === "nswap" && typeof version === "string" ? version : null;
  } catch {
    return null;
  }
}
