import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Scope } from "./scope.ts";

/** What a run makes outside its own memory bears this, and the run's process id, in its name. */
const PREFIX = "nswap-guest-";

let made = 0;

/** A name that no other run has. */
export function ownName(): string {
  return `${PREFIX}${process.pid}-${++made}`;
}

/** A folder that `scope` removes. */
export function temporaryFolder(scope: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Removes folders of runs that were killed before they could: their process is gone. */
export function removeAbandonedFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    if (isAbandoned(name)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** True when the name is of a run of this harness whose process is gone. */
export function isAbandoned(name: string): boolean {
  const owner = name.match(/^nswap-guest-(\d+)-\w+$/)?.[1];
  return owner !== undefined && !isAlive(Number(owner));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
