import { limits } from "../base/limits.ts";
import type { Notice } from "../base/log.ts";
import type { Holder } from "../placement/holder.ts";

/**
 * Says which links, servers and pages are lost. Pages are named, the first few; then it is said, at growing intervals,
 * how many more, and between which slots, so that a server that dies with all its pages fills no disk. After a quiet
 * time pages are named again.
 */
export class LossNotices {
  readonly #notice: Notice;
  #named = 0;
  #lastLossMs = 0;
  #pauseMs: number = limits.lossNoticeMsMin;
  /** Since when losses are gathered, and what they are. */
  #sinceMs = 0;
  #pages = 0;
  #firstSlot = 0;
  #lastSlot = 0;
  #why = "";

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  lost(slot: number, pageId: number, why: string, nowMs: number): void {
    if (nowMs - this.#lastLossMs >= 2 * limits.lossNoticeMsMax) this.#startAnew();
    this.#lastLossMs = nowMs;
    if (this.#named < limits.lossesNamed) {
      this.#named += 1;
      this.#notice("a page is lost", { slot, page: pageId, why }, "error");
      return;
    }
    if (this.#pages === 0) {
      this.#sinceMs = nowMs;
      this.#firstSlot = slot;
      this.#lastSlot = slot;
    }
    this.#pages += 1;
    this.#firstSlot = Math.min(this.#firstSlot, slot);
    this.#lastSlot = Math.max(this.#lastSlot, slot);
    this.#why = why;
  }

  linkLost({ name }: Holder, why: string | undefined): void {
    this.#notice("lost the link to a server", { name, why }, "warn");
  }

  /** It is provably gone. Its pages may be made again from others, but that is for the redundancy to say. */
  serverLost({ name, role, livePages: pages }: Holder, why: string): void {
    const what = role === "parity" ? "a parity server is lost" : "a memory server is lost";
    this.#notice(what, { name, pages, why }, pages > 0 ? "error" : "info");
  }

  tick(nowMs: number): void {
    if (this.#pages === 0 || nowMs - this.#sinceMs < this.#pauseMs) return;
    this.#pauseMs = Math.min(2 * this.#pauseMs, limits.lossNoticeMsMax);
    this.say();
  }

  /** Says at once what has not been said yet. */
  say(): void {
    if (this.#pages === 0) return;
    const gathered = { pages: this.#pages, firstSlot: this.#firstSlot, lastSlot: this.#lastSlot };
    this.#pages = 0;
    this.#notice("more pages are lost", { ...gathered, why: this.#why }, "error");
  }

  #startAnew(): void {
    this.say();
    this.#named = 0;
    this.#pauseMs = limits.lossNoticeMsMin;
  }
}
