/** Identities that are gone, so that gossip that is still under way does not bring them back. Bounded, oldest out. */
export class Tombstones {
  readonly #graves = new Map<string, { heartbeat: number; untilMs: number }>();

  constructor(
    private readonly countMax: number,
    private readonly keepMs: number,
  ) {}

  /** @param heartbeat a record must have a higher one to count again; Infinity: never again */
  bury(identity: string, heartbeat: number, nowMs: number): void {
    this.#graves.delete(identity);
    if (this.#graves.size >= this.countMax) {
      for (const oldest of this.#graves.keys()) {
        this.#graves.delete(oldest);
        break;
      }
    }
    this.#graves.set(identity, { heartbeat, untilMs: nowMs + this.keepMs });
  }

  /** Whether a record of the identity with this heartbeat is old news. */
  covers(identity: string, heartbeat: number): boolean {
    const grave = this.#graves.get(identity);
    return grave !== undefined && heartbeat <= grave.heartbeat;
  }

  raise(identity: string): void {
    this.#graves.delete(identity);
  }

  tick(nowMs: number): void {
    for (const [identity, grave] of this.#graves) if (nowMs >= grave.untilMs) this.#graves.delete(identity);
  }
}
