type CleanUp = () => void | Promise<void>;

/**
 * What must be undone, undone in the opposite order whatever happens: also when one step fails, also on
 * SIGINT, SIGTERM and SIGHUP.
 */
export class Scope {
  readonly #steps: CleanUp[] = [];
  #closing: Promise<void> | undefined;

  /** Adds a step. After `close` has begun it is run at once, since nothing else would. */
  defer(step: CleanUp): void {
    if (this.#closing === undefined) this.#steps.push(step);
    else void Promise.resolve(step()).catch(() => undefined);
  }

  /** True from the moment that `close` was called, by a signal for example. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Runs every step once, last first. Rejects with all errors together after the last step. */
  close(): Promise<void> {
    this.#closing ??= this.#run();
    return this.#closing;
  }

  /** Closes and exits with 128 + signal number when the process is told to end. A second signal waits too. */
  closeOnSignals(): void {
    const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
    for (const [signal, number] of Object.entries(numbers)) {
      process.on(signal, () => {
        void this.close().then(
          () => process.exit(128 + number),
          (error: unknown) => {
            console.error(error);
            process.exit(128 + number);
          },
        );
      });
    }
  }

  async #run(): Promise<void> {
    const errors: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `clean-up: ${errors.map(String).join("; ")}`);
  }
}
