/** A guarantee was broken, or a run did not converge. `atMs` is simulated time. */
export class Violation extends Error {
  readonly atMs: number;

  constructor(atMs: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "Violation";
    this.atMs = atMs;
  }
}
