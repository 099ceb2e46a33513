import type { Holder } from "../placement/holder.ts";
import { type GroupTable, NONE } from "./group-table.ts";
import type { Reach } from "./reach.ts";
import type { RedundancyPort } from "./redundancy.ts";

/** Chooses the servers for what operations make: those that can be had, and that reach each other, as far as known. */
export class Sites {
  readonly #groups: GroupTable;
  readonly #port: RedundancyPort;
  readonly #reach: Reach;
  #group = NONE;
  /** The parity server that is to put the page. */
  #from: Holder | undefined;
  readonly #isUsable = (holder: Holder): boolean =>
    this.#port.isLinked(holder.index) && this.#port.takesPages(holder);
  readonly #isOutside = (holder: Holder): boolean =>
    !this.#groups.hasHolder(this.#group, holder.index) && this.#isUsable(holder);
  readonly #isClearOutside = (holder: Holder): boolean =>
    this.#isOutside(holder) && this.#reach.isClear(this.#from!, holder);
  readonly #isFairOutside = (holder: Holder): boolean =>
    this.#isOutside(holder) && !this.#reach.isBadTarget(this.#from!, holder);
  readonly #isFairInside = (holder: Holder): boolean =>
    this.#isUsable(holder) && !this.#reach.isBadTarget(this.#from!, holder);
  readonly #isTriedOutside = (holder: Holder): boolean =>
    this.#isOutside(holder) && this.#reach.mayBeTarget(this.#from!, holder);
  readonly #isInside = (holder: Holder): boolean =>
    this.#groups.hasHolder(this.#group, holder.index) && this.#isUsable(holder);
  readonly #takesParity = (holder: Holder): boolean => this.#port.takesPages(holder);
  readonly #mayReachGroup = (holder: Holder): boolean =>
    this.#takesParity(holder) && !this.#reach.isOutForParityOf(holder, this.#group);
  readonly #reachesGroup = (holder: Holder): boolean =>
    this.#takesParity(holder) && this.#reach.isClearFor(holder, this.#group);

  constructor(groups: GroupTable, port: RedundancyPort, reach: Reach) {
    this.#groups = groups;
    this.#port = port;
    this.#reach = reach;
  }

  /**
   * For a page of the group that this parity server makes: none of the group's servers, unless it has to be one. That
   * has to be reached anyway: whatever else failed that needed it, putting a page there tries nothing more.
   * Undefined if there is none, or none that is to be tried now.
   */
  target(group: number, from: Holder): Holder | undefined {
    const { table } = this.#port;
    this.#group = group;
    this.#from = from;
    const outside = table.choose(this.#isClearOutside) ?? table.choose(this.#isFairOutside);
    const any = outside ?? table.choose(this.#isFairInside) ?? table.choose(this.#isInside);
    return any ?? table.choose(this.#isTriedOutside);
  }

  /** For the parity of the group's pages: undefined if none takes it that may reach them. */
  parity(group: number): Holder | undefined {
    const { table } = this.#port;
    this.#group = group;
    return table.chooseParity(this.#reachesGroup) ?? table.chooseParity(this.#mayReachGroup);
  }

  /** True if some server takes parity, whatever it reaches. */
  get anyTakesParity(): boolean {
    return this.#port.table.chooseParity(this.#takesParity) !== undefined;
  }
}
