/** What a parity server counts since its start, beside what it counts as a store of pages. */
export interface ParityCounters {
  /** Entries of COMPOSE done. */
  composed: number;
  /** Entries of REBUILD done: pages put on another memory server. */
  rebuilt: number;
  /** Entries of RECOVER done: pages computed for a reader. */
  recovered: number;
  /** Entries that failed, by status. */
  full: number;
  unreachable: number;
  missing: number;
  wrong: number;
  /** Entries dropped because their connection ended. */
  dropped: number;
  /** Pages that came from memory servers. */
  pagesFetched: number;
  /** Links to memory servers that stood, and those of them that were lost. */
  linksMade: number;
  linksLost: number;
}

export const newParityCounters = (): ParityCounters => ({
  composed: 0,
  rebuilt: 0,
  recovered: 0,
  full: 0,
  unreachable: 0,
  missing: 0,
  wrong: 0,
  dropped: 0,
  pagesFetched: 0,
  linksMade: 0,
  linksLost: 0,
});

/** How far the check of groups has come. */
export interface ScrubSnapshot {
  /** True while a pass that was asked for is under way. */
  running: boolean;
  /** Store frames looked at in this pass, of how many. */
  position: number;
  end: number;
  /** Groups found right. */
  scrubbed: number;
  /** Groups of which some member could not be looked at. */
  skipped: number;
  /** Of these, groups with a member whose server could not be reached. */
  unreachable: number;
  /** Groups found wrong, twice in a row. */
  mismatches: number;
  /** Passes over the whole store. */
  passes: number;
}
