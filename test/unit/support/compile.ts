import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** TypeScript made into JavaScript that plain Node runs, for tests that need a program of their own. */
export interface Compiled {
  /** The JavaScript of a source, given by its path in the repository. */
  script(source: string): string;
  remove(): void;
}

/** Compiles sources (paths in the repository) and what they import, unchecked, into a fresh folder under tmp/. */
export function compile(...sources: string[]): Compiled {
  mkdirSync(join(root, "tmp"), { recursive: true });
  const out = mkdtempSync(join(root, "tmp", "compiled-"));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const flags =
    "--ignoreConfig --noCheck --skipLibCheck --types node --target es2023 --module nodenext " +
    "--rewriteRelativeImportExtensions";
  const places = ["--rootDir", root, "--outDir", out];
  execFileSync(
    process.execPath,
    [tsc, ...flags.split(" "), ...places, ...sources.map((source) => join(root, source))],
    {
      cwd: dirname(tsc),
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  return {
    script: (source) => join(out, source.replace(/\.ts$/, ".js")),
    remove: () => rmSync(out, { recursive: true, force: true }),
  };
}
