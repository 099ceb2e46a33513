/** Those who wait until what was acknowledged before is protected: FLUSH, and requests with FUA. */
export class Barriers {
  #waiting: { isProtected: () => boolean; done: () => void }[] = [];

  /** Calls `done` as soon as `isProtected` says yes: now, or at the end of a turn. */
  wait(isProtected: () => boolean, done: () => void): void {
    if (isProtected()) done();
    else this.#waiting.push({ isProtected, done });
  }

  /** End of a turn. */
  pass(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { isProtected, done } of waiting) this.wait(isProtected, done);
  }
}
