import { NswapError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Prng } from "../base/prng.ts";
import { Holder, type HolderRole } from "./holder.ts";

/** A candidate so much slower than another, and slower than this at all, loses whatever room it has. */
const SLOWER_FACTOR = 4;
const SLOW_MS = 2;

/**
 * Pages in a row that go to one server where groups are spread over several: what the kernel reads ahead at a time
 * (vm.page-cluster of 3). Then the pages of a long request share their groups, and die together.
 */
export const STRIPE_PAGES = 8;

/** One with so many times less room than another need not keep up with it. */
const LESS_ROOM = 2;

const anyHolder = (): boolean => true;

/**
 * A client's table of memory servers and their (possibly stale) free frames. A row's index stays as long as a slot
 * may mean it; a dead holder's row is used again once no slot does.
 */
export class IpTable {
  readonly #prng: Prng;
  readonly #rows: (Holder | undefined)[] = [];
  readonly #byIdentity = new Map<string, Holder>();
  readonly #up: Holder[] = [];
  readonly #parityUp: Holder[] = [];

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** All rows in use. */
  get holders(): Holder[] {
    return this.#rows.filter((row) => row !== undefined);
  }

  /** The memory servers that are up. */
  get servers(): readonly Holder[] {
    return this.#up;
  }

  /** Memory servers that are up. */
  get upCount(): number {
    return this.#up.length;
  }

  /** Parity servers that are up. */
  get parityUpCount(): number {
    return this.#parityUp.length;
  }

  /** True if a parity server that is up takes parity pages, as far as known. */
  get someParityHasRoom(): boolean {
    for (const holder of this.#parityUp) if (!holder.full && holder.freeEstimate > 0) return true;
    return false;
  }

  /** Frames that parity servers that are up have for parity pages, as far as known. */
  get parityRoom(): number {
    let frames = 0;
    for (const holder of this.#parityUp) if (!holder.full) frames += Math.max(0, holder.freeEstimate);
    return frames;
  }

  /** True if a parity server that is up has a frame for what it makes of other groups, as far as known. */
  get someParityComposes(): boolean {
    for (const holder of this.#parityUp) if (holder.hasFrame) return true;
    return false;
  }

  /** True if a memory server that is up, other than this one, takes pages, as far as known. */
  someHasRoomBesides(index: number): boolean {
    for (const holder of this.#up) if (holder.index !== index && !holder.full) return true;
    return false;
  }

  /** True if a memory server that is up is short of room. */
  get someShortOfRoom(): boolean {
    for (const holder of this.#up) if (holder.shortOfRoom) return true;
    return false;
  }

  /** True if a parity server that is up is short of room. */
  get someParityShortOfRoom(): boolean {
    for (const holder of this.#parityUp) if (holder.full || holder.shortOfRoom) return true;
    return false;
  }

  at(index: number): Holder {
    return this.#rows[index]!;
  }

  byIdentity(identity: string): Holder | undefined {
    return this.#byIdentity.get(identity);
  }

  /** Slots that mean a page of a server that is provably gone. */
  get pagesOfDead(): number {
    let pages = 0;
    for (const row of this.#rows) if (row?.state === "dead") pages += row.livePages;
    return pages;
  }

  /** The row of an identity, made if it is new; throws LIMIT_REACHED. */
  admit(identity: string, name: string, role: HolderRole = "server"): Holder {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    const index = this.#rowLeft();
    if (index === undefined) {
      throw new NswapError("LIMIT_REACHED", `${limits.memoryServersMax} memory servers are known already`);
    }
    const holder = new Holder(index, name, identity, role);
    this.#rows[holder.index] = holder;
    this.#byIdentity.set(identity, holder);
    return holder;
  }

  #rowLeft(): number | undefined {
    for (let i = 0; i < this.#rows.length; i += 1) if (this.#rows[i] === undefined) return i;
    return this.#rows.length < limits.memoryServersMax ? this.#rows.length : undefined;
  }

  setUp(holder: Holder): void {
    if (holder.state === "up") return;
    holder.state = "up";
    this.#listOf(holder).push(holder);
  }

  /** Not to be chosen for now; its pages may still be there. */
  setAway(holder: Holder): void {
    this.#leaveUp(holder);
    if (holder.state === "up") holder.state = "away";
  }

  /** Gone with its pages. */
  setDead(holder: Holder): void {
    this.#leaveUp(holder);
    holder.state = "dead";
    this.#byIdentity.delete(holder.identity);
    this.forgetIfUnused(holder);
  }

  /** The dead holder for pages that this one, which stands, does not have any more; undefined: no row is left. */
  pastOf(holder: Holder): Holder | undefined {
    const { past, name, identity, role } = holder;
    if (past !== undefined && this.#rows[past.index] === past) return past;
    const index = this.#rowLeft();
    if (index === undefined) return undefined;
    const made = new Holder(index, name, identity, role, "does not hold it any more");
    made.state = "dead";
    this.#rows[index] = made;
    holder.past = made;
    return made;
  }

  #listOf(holder: Holder): Holder[] {
    return holder.role === "parity" ? this.#parityUp : this.#up;
  }

  #leaveUp(holder: Holder): void {
    const up = this.#listOf(holder);
    const at = up.indexOf(holder);
    if (at >= 0) up.splice(at, 1);
  }

  /** Frees a dead holder's row when no slot means it any more. */
  forgetIfUnused(holder: Holder): void {
    if (holder.state !== "dead" || holder.livePages > 0 || holder.references > 0) return;
    if (this.#rows[holder.index] === holder) this.#rows[holder.index] = undefined;
  }

  /**
   * Where the next pages go: the better of two candidates drawn at random, by room and latency ("power of two
   * choices": even spread although the figures are stale); all are looked at when neither seems to have room.
   * Undefined if nobody takes pages; those that `takes` says no to are passed over. Where `leadOf` says how many pages
   * a server is ahead, those with room are kept within about two stripes of each other.
   */
  choose(
    takes: (holder: Holder) => boolean = anyHolder,
    leadOf?: (holder: Holder) => number,
  ): Holder | undefined {
    const best = this.#byRoom(takes);
    return best === undefined || leadOf === undefined ? best : this.#notAhead(best, takes, leadOf);
  }

  /**
   * The one that is behind the most, if `best` is a stripe ahead of it. One that has much less room, or is much slower,
   * need not keep up.
   */
  #notAhead(best: Holder, takes: (holder: Holder) => boolean, leadOf: (holder: Holder) => number): Holder {
    let found = best;
    let least = leadOf(best) - STRIPE_PAGES;
    const count = this.#up.length;
    const from = this.#prng.below(count);
    for (let i = 0; i < count; i += 1) {
      const holder = this.#up[(from + i) % count]!;
      const lead = leadOf(holder);
      if (lead > least || holder.full || holder.shortOfRoom || !takes(holder)) continue;
      if (holder.freeEstimate * LESS_ROOM < best.freeEstimate || this.#muchSlower(holder, best)) continue;
      found = holder;
      least = lead;
    }
    return found;
  }

  #byRoom(takes: (holder: Holder) => boolean): Holder | undefined {
    const count = this.#up.length;
    if (count === 0) return undefined;
    const first = this.#up[this.#prng.below(count)]!;
    const second = this.#up[this.#prng.below(count)]!;
    const best = this.#better(first, second);
    if (!best.full && best.freeEstimate > 0 && takes(best)) return best;
    return this.#bestOfAll(takes);
  }

  /** Where the next parity page goes: the one with the most room of those that take it. */
  chooseParity(takes: (holder: Holder) => boolean = anyHolder): Holder | undefined {
    let best: Holder | undefined;
    for (const holder of this.#parityUp) {
      if (holder.full || holder.freeEstimate <= 0 || !takes(holder)) continue;
      best = best === undefined ? holder : this.#better(best, holder);
    }
    return best;
  }

  #bestOfAll(takes: (holder: Holder) => boolean): Holder | undefined {
    let best: Holder | undefined;
    for (const holder of this.#up) {
      if (!holder.full && takes(holder)) best = best === undefined ? holder : this.#better(best, holder);
    }
    return best;
  }

  #better(a: Holder, b: Holder): Holder {
    if (a.full !== b.full) return a.full ? b : a;
    if (this.#muchSlower(a, b) && b.freeEstimate > 0) return b;
    if (this.#muchSlower(b, a) && a.freeEstimate > 0) return a;
    return b.freeEstimate > a.freeEstimate ? b : a;
  }

  #muchSlower(a: Holder, b: Holder): boolean {
    return a.latencyMs > SLOW_MS && a.latencyMs > SLOWER_FACTOR * b.latencyMs;
  }
}
