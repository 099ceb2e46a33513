import { isKernelLine } from "./kernel-log.ts";

/** The guest's own figures of one second. */
export interface Progress {
  readonly memFreeKiB: number;
  readonly memAvailableKiB: number;
  readonly swapUsedKiB: number;
  readonly pagesIn: number;
  readonly pagesOut: number;
}

export interface ConsoleEvents {
  onStep?(step: string): void;
  onProgress?(progress: Progress): void;
}

/** Reads the guest's console line by line: results, progress, failures and the kernel's log. */
export class GuestConsole {
  readonly lines: string[] = [];
  readonly kernelLines: string[] = [];
  readonly failures: string[] = [];
  /** Every figure reported, by name. */
  readonly results = new Map<string, string>();
  step = "boot";
  readonly #events: ConsoleEvents;

  constructor(events: ConsoleEvents = {}) {
    this.#events = events;
  }

  /** Takes one line. Lines that are neither ours nor the kernel's are kept as they are. */
  push(raw: string): void {
    const line = raw.replace(/\r$/, "");
    this.lines.push(line);
    if (isKernelLine(line)) {
      this.kernelLines.push(line);
      return;
    }
    const match = line.match(/^NSWAP-(STEP|RESULT|PROGRESS|FAIL) (.*)$/);
    if (!match) return;
    const [, kind, rest] = match as unknown as [string, string, string];
    if (kind === "FAIL") this.failures.push(rest);
    else if (kind === "STEP") this.#enter(rest);
    else if (kind === "RESULT") for (const [key, value] of pairs(rest)) this.results.set(key, value);
    else this.#events.onProgress?.(progressOf(new Map(pairs(rest))));
  }

  /** A figure that the guest reported, as a number. Throws when it did not, or when it is no number. */
  number(key: string): number {
    const text = this.results.get(key);
    const value = Number(text);
    if (text === undefined || text === "" || !Number.isFinite(value)) {
      throw new Error(`the guest reported ${key}=${text ?? "nothing"}, a number is needed`);
    }
    return value;
  }

  #enter(step: string): void {
    this.step = step;
    this.#events.onStep?.(step);
  }
}

function pairs(text: string): [string, string][] {
  return text
    .split(" ")
    .filter((word) => word.includes("="))
    .map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]);
}

function progressOf(values: Map<string, string>): Progress {
  const figure = (key: string): number => Number(values.get(key) ?? 0);
  return {
    memFreeKiB: figure("memFreeKiB"),
    memAvailableKiB: figure("memAvailableKiB"),
    swapUsedKiB: figure("swapUsedKiB"),
    pagesIn: figure("pagesIn"),
    pagesOut: figure("pagesOut"),
  };
}
