import type { ClusterNode } from "./cluster.ts";
import type { Progress } from "./console.ts";
import { type ClusterStatus, unprotectedPages } from "./status.ts";

/** Something that happens to a node of the cluster while the guest swaps. */
export interface Incident {
  /** `kill`: SIGKILL. `start`: it comes back at its old addresses, with nothing in it. */
  readonly what: "kill" | "start";
  readonly node: string;
  /** What is waited for: that the client sees it, or also that no page is unprotected any more. */
  readonly until: "seen" | "protected";
}

/** How an incident went. Times in seconds. */
export interface IncidentReport extends Incident {
  /** Pages that the node held when it was killed. */
  readonly pagesHeld: number;
  /** Most pages seen unprotected until it was over. */
  readonly unprotectedMost: number;
  readonly seconds: number;
}

export interface IncidentEvents {
  onIncident?(incident: Incident): void;
  onSettled?(report: IncidentReport): void;
}

/** What incidents need of a cluster: OutsideCluster has it. */
export interface Stricken {
  kill(name: string): Promise<Pick<ClusterNode, "child">>;
  startAgain(name: string): Promise<Pick<ClusterNode, "child">>;
}

const SETTLE_MS_MAX = 120_000;
const LOOK_EVERY_MS = 50;
/** So many pages have come back before anything happens: the guest swaps both ways. */
const PAGES_IN_MIN = 3_000;

/** Lets incidents happen to a cluster, one after the other, once the guest swaps both ways. */
export class IncidentRun {
  readonly reports: IncidentReport[] = [];
  readonly #cluster: Stricken;
  readonly #incidents: readonly Incident[];
  readonly #events: IncidentEvents;
  readonly #afterMs: number;
  #status: ClusterStatus | undefined;
  /** Readings of the status so far. */
  #readings = 0;
  #swappingSinceMs: number | undefined;
  #pagesIn = 0;
  #over = false;

  /** `afterSeconds`: how long the guest is left alone first. */
  constructor(
    cluster: Stricken,
    incidents: readonly Incident[],
    afterSeconds: number,
    events: IncidentEvents,
  ) {
    this.#cluster = cluster;
    this.#incidents = incidents;
    this.#afterMs = afterSeconds * 1000;
    this.#events = events;
  }

  seeStatus(status: ClusterStatus): void {
    this.#status = status;
    this.#readings += 1;
  }

  seeProgress(progress: Progress): void {
    this.#pagesIn = progress.pagesIn;
    if (progress.pagesIn >= PAGES_IN_MIN) this.#swappingSinceMs ??= performance.now();
  }

  /** The guest has ended: what has not happened will not. */
  end(): void {
    this.#over = true;
  }

  /** Resolves when all is over, with what was not right. */
  async run(): Promise<string[]> {
    try {
      await this.#until(Number.POSITIVE_INFINITY, "the guest to swap", () => {
        const since = this.#swappingSinceMs;
        return since !== undefined && performance.now() - since >= this.#afterMs;
      });
      for (const incident of this.#incidents) await this.#happen(incident);
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  }

  async #happen(incident: Incident): Promise<void> {
    const { what, node: name, until } = incident;
    const startMs = performance.now();
    const held = this.#status?.nodes.find((node) => node.name === name && node.state === "up")?.frames.used;
    if (what === "kill" && !held) throw new Error(`${name} held no page when it was to be killed`);
    this.#events.onIncident?.(incident);
    const node = await (what === "kill" ? this.#cluster.kill(name) : this.#cluster.startAgain(name));
    const { pid } = node.child;
    const isSeen = (status: ClusterStatus): boolean =>
      status.nodes.some((one) => one.name === name && one.pid === pid && one.state === "up") ===
      (what === "start");
    const since = this.#readings;
    let most = 0;
    await this.#until(SETTLE_MS_MAX, `${what} ${name} to be ${until}`, () => {
      // What was read before it happened tells nothing.
      const status = this.#readings > since ? this.#status : undefined;
      if (status === undefined) return false;
      most = Math.max(most, unprotectedPages(status));
      return isSeen(status) && (until === "seen" || unprotectedPages(status) === 0);
    });
    const seconds = (performance.now() - startMs) / 1000;
    const report: IncidentReport = { ...incident, pagesHeld: held ?? 0, unprotectedMost: most, seconds };
    this.reports.push(report);
    this.#events.onSettled?.(report);
  }

  async #until(timeoutMs: number, what: string, isDone: () => boolean): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!isDone()) {
      const left = this.#status === undefined ? "" : `; ${unprotectedPages(this.#status)} pages unprotected`;
      if (this.#over) throw new Error(`the guest ended while waiting for ${what}${left}`);
      if (performance.now() > deadline)
        throw new Error(`waited ${timeoutMs / 1000} s for ${what}${left}, ${this.#pagesIn} pages in`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}
