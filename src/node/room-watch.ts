import type { Log } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { type Shortage, shortagesIn } from "../membership/shortage.ts";
import type { StatusDocument } from "../membership/status-document.ts";

/** By then a client has found who is there at its start; and so often it looks again. */
const lookEveryMs = 5_000;

const short = {
  server: "memory servers lend less than the devices need: when all of it is in use, writers wait",
  parity: "parity servers lend less than the devices need: when all of it is in use, pages are unprotected",
} as const;

const enough = {
  server: "memory servers lend as much as the devices need",
  parity: "parity servers lend as much as the devices need",
} as const;

/** Says it, once each time it changes, where the servers that a client knows lend less than the devices need. */
export class RoomWatch {
  readonly #status: () => StatusDocument;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #isShort = { server: false, parity: false };

  constructor(status: () => StatusDocument, log: Log) {
    this.#status = status;
    this.#log = log;
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const shortages = shortagesIn(this.#status());
    for (const role of ["server", "parity"] as const) {
      const shortage = shortages.find((one) => one.role === role);
      if ((shortage !== undefined) === this.#isShort[role]) continue;
      this.#isShort[role] = shortage !== undefined;
      if (shortage === undefined) this.#log.info(enough[role]);
      else this.#log.warn(short[role], fieldsOf(shortage));
    }
  }
}

function fieldsOf({ needed, offered }: Shortage): Record<string, number> {
  const toMiB = PAGE_BYTES / 1024 ** 2;
  return { neededMiB: Math.ceil(needed * toMiB), lentMiB: Math.floor(offered * toMiB) };
}
