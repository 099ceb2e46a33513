import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";

/** Says from time to time that pages wait for a memory server with room. */
export class Starvation {
  readonly #notice: Notice;
  #sinceMs: number | undefined;

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  /** Time passes, and so many pages wait. */
  tick(nowMs: number, pages: number): void {
    if (pages === 0) this.#sinceMs = undefined;
    else if (this.#sinceMs === undefined) this.#sinceMs = nowMs;
    else if (nowMs - this.#sinceMs > limits.starvedNoticeMs) {
      this.#sinceMs = nowMs;
      this.#notice("pages wait for a memory server with room", { pages }, "warn");
    }
  }
}
