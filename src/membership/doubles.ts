/**
 * Watches for live processes that tell this node's own name and addresses, which are machines that were cloned, or that
 * all have one address behind a NAT: none of them takes the others in. Of a predecessor that has ended one hears for a
 * moment only.
 */
export class Doubles {
  #sinceMs = 0;
  #heardMs = Number.NEGATIVE_INFINITY;
  #told = false;

  constructor(private readonly patienceMs: number) {}

  /** One has a newer heartbeat; true once, when it is certain that it lives. */
  heard(nowMs: number): boolean {
    if (nowMs - this.#heardMs >= this.patienceMs) this.#sinceMs = nowMs;
    this.#heardMs = nowMs;
    if (this.#told || nowMs - this.#sinceMs < this.patienceMs) return false;
    this.#told = true;
    return true;
  }
}
