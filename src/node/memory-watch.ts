import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { PAGE_BYTES } from "../base/page.ts";
import type { MemoryInfo } from "../io/meminfo.ts";
import { CapacityPolicy } from "../server/capacity-policy.ts";
import type { FrameStore } from "../server/frame-store.ts";

export interface MemoryWatchOptions {
  readonly store: Pick<FrameStore, "capacity" | "touched" | "lend" | "refused">;
  readonly reserveBytes: number;
  readonly read: () => MemoryInfo;
  readonly log: Log;
}

const toMiB = (bytes: number): number => Math.floor(bytes / 1024 ** 2);

/** Looks at the machine's memory from time to time and has a server lend what it can do without. */
export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #policy: CapacityPolicy;
  readonly #timer: NodeJS.Timeout;
  #wasRefused = false;

  constructor(options: MemoryWatchOptions) {
    const { store, reserveBytes } = options;
    this.#options = options;
    this.#policy = new CapacityPolicy({ capacityFrames: store.capacity, reserveBytes });
    this.#begin();
    this.#timer = setInterval(() => this.#look(), limits.memoryLookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #begin(): void {
    const { store, reserveBytes, read, log } = this.#options;
    const { availableBytes } = read();
    const frames = this.#policy.look(availableBytes, store.touched, performance.now());
    store.lend(frames);
    // What has changed since a capacity was chosen is not worth a word.
    if (frames > 0 && (store.capacity - frames) * PAGE_BYTES <= limits.reserveMarginBytes) return;
    log.warn("less memory is available than the capacity: more is lent once there is more", {
      capacityMiB: toMiB(store.capacity * PAGE_BYTES),
      availableMiB: toMiB(availableBytes),
      reserveMiB: toMiB(reserveBytes),
      lentMiB: toMiB(frames * PAGE_BYTES),
    });
  }

  #look(): void {
    this.#sayRefused();
    const { store, reserveBytes, log } = this.#options;
    const wasShort = this.#policy.short;
    const availableBytes = this.#available();
    if (availableBytes === undefined) return;
    store.lend(this.#policy.look(availableBytes, store.touched, performance.now()));
    if (this.#policy.short === wasShort) return;
    const fields = { availableMiB: toMiB(availableBytes), reserveMiB: toMiB(reserveBytes) };
    if (wasShort) log.info("memory has recovered: new pages are taken again", fields);
    else log.warn("less memory is available than the reserve: no new pages are taken", fields);
  }

  /** Once each time that it begins. */
  #sayRefused(): void {
    const { store, log } = this.#options;
    if (store.refused && !this.#wasRefused) {
      const usedMiB = toMiB(store.touched * PAGE_BYTES);
      log.warn("the system refuses more memory (an address-space limit, or overcommit): asked again later", {
        usedMiB,
      });
    }
    this.#wasRefused = store.refused;
  }

  /** Undefined where it cannot be read: then all stays as it is until the next look. */
  #available(): number | undefined {
    try {
      return this.#options.read().availableBytes;
    } catch (error) {
      this.#options.log.warn("the machine's memory cannot be looked at", { error: String(error) });
      return undefined;
    }
  }
}
