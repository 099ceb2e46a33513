export interface GroupReviewOptions {
  /** Groups are numbered from 0 to below `end`. */
  groups: { readonly end: number };
  /** Up to so many groups are looked at at once, when the review begins. */
  atOnce: number;
  /** More are looked at so many at a time. */
  atATime: number;
  /** Finds out how the group stands. */
  look: (group: number) => unknown;
}

/**
 * Finds out how all groups stand after a link has ended or come back. There may be millions: they are looked at bit by
 * bit, and until that is done those who need to know it of a group look for themselves. What changes meanwhile has the
 * review go on once around:
 *
 *     0 … looked at … | at … still to be looked at … end   --begin-->   at … end, then 0 … at
 */
export class GroupReview {
  readonly #options: GroupReviewOptions;
  #isUnderWay = false;
  #at = 0;
  /** Groups below were looked at before the last change: they come at the end. */
  #again = 0;
  #isAgain = false;

  constructor(options: GroupReviewOptions) {
    this.#options = options;
  }

  /** True while groups may stand otherwise than was found when they were looked at last. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Any group may stand otherwise from now on. */
  begin(): void {
    if (!this.#isUnderWay) this.#at = 0;
    this.#isUnderWay = true;
    this.#again = this.#at;
    this.#isAgain = false;
    if (this.#options.groups.end <= this.#options.atOnce) this.#goOn(Number.POSITIVE_INFINITY);
  }

  /** Looks at the next few. */
  work(): void {
    this.#goOn(this.#options.atATime);
  }

  #goOn(most: number): void {
    let looked = 0;
    while (this.#isUnderWay && looked < most) {
      if (this.#at < (this.#isAgain ? this.#again : this.#options.groups.end)) {
        looked += 1;
        this.#at += 1;
        this.#options.look(this.#at - 1);
      } else if (this.#isAgain || this.#again === 0) this.#isUnderWay = false;
      else {
        this.#isAgain = true;
        this.#at = 0;
      }
    }
  }
}
