import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const live = new Set<string>();
process.on("exit", () => {
  for (const directory of live) rmSync(directory, { recursive: true, force: true });
});

/** A directory for sockets and files of one test or run; gone when disposed of, or with this process. */
export class Scratch {
  readonly path: string = mkdtempSync(join(tmpdir(), "nswap-"));

  constructor() {
    live.add(this.path);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    live.delete(this.path);
  }
}
