import type { GroupDisposal } from "./group-disposal.ts";
import { GroupState, type GroupTable } from "./group-table.ts";
import type { RedundancyPort } from "./redundancy.ts";
import type { Standing } from "./standing.ts";

export interface GivingUpOptions {
  groups: GroupTable;
  port: RedundancyPort;
  standing: Standing;
  disposal: GroupDisposal;
  /** Puts a group where its state says. */
  classify: (group: number) => void;
}

/** Gives up what is provably of no use any more: parity pages, and pages that nothing makes up for. */
export class GivingUp {
  readonly #groups: GroupTable;
  readonly #options: GivingUpOptions;

  constructor(options: GivingUpOptions) {
    this.#groups = options.groups;
    this.#options = options;
  }

  /** The group's parity is of no use: its live members look for a new group. */
  parity(group: number): void {
    this.#bare(group);
    this.#options.classify(group);
  }

  /** More is gone than the parity can make up for: members whose server is dead are lost. */
  parityAndLost(group: number): void {
    this.#bare(group);
    this.lost(group);
    this.#options.classify(group);
  }

  #bare(group: number): void {
    this.#options.disposal.dropParity(group);
    this.#groups.state[group] = GroupState.BARE;
    this.#groups.degraded[group] = 0;
    this.#options.disposal.purge(group);
  }

  /** Members of a bare group whose server is dead are lost. */
  lost(group: number): void {
    const groups = this.#groups;
    const { port, standing, disposal } = this.#options;
    for (let m = groups.last(group) - 1; m >= groups.first(group); m -= 1) {
      if (!standing.isDead(groups.holder[m]!)) continue;
      groups.busy[group]! += 1;
      const { name } = port.table.at(groups.holder[m]!);
      port.pageLost(groups.slot[m]!, `its server "${name}" is gone, and so is what could make up for it`);
      groups.busy[group]! -= 1;
      disposal.discard(m);
      groups.remove(m);
    }
  }
}
