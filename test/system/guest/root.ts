import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Absolute path of the repository, from the sources and from dist/ alike. Throws when there is none above. */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).name === "nswap") return folder;
    const parent = dirname(folder);
    if (parent === folder) throw new Error("the guest harness is not inside the nswap repository");
    folder = parent;
  }
}

/** Absolute path of a program or script that runs inside the guest. */
export function insidePath(name: string): string {
  return join(repositoryRoot(), "test/system/guest/inside", name);
}
