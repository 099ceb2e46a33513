import type { Holder } from "../placement/holder.ts";
import type { GroupParts } from "./group-parts.ts";
import { GroupState } from "./group-table.ts";
import type { Vanished } from "./vanished.ts";

/** A complete list, and how far it is that what the holder should have is looked at. */
interface Count {
  readonly holder: Holder;
  /** The next group. */
  group: number;
  /** The holder's `GroupTable.strayed` when it began with the first group. */
  strayed: number;
  /** Pages that the holder does not have. */
  pages: number;
}

/**
 * What servers should hold, against their own lists of what they do: a server that could not be reached for its grace
 * time has freed the client's pages, and is otherwise as it was.
 *
 *     begin: a new round -> listed: seen in this round -> end: what was not seen in it has vanished, group by group
 *
 * What comes to it meanwhile counts as seen. There may be millions of groups: so many are looked at in a tick.
 */
export class RollCall {
  readonly #parts: GroupParts;
  readonly #vanished: Vanished;
  readonly #atATime: number;
  /** Those that are being asked. */
  readonly #asked = new Set<Holder>();
  /** Those that were away: what they should have was not looked at to the end with a complete list yet. */
  readonly #back = new Set<Holder>();
  #counts: Count[] = [];

  constructor(parts: GroupParts, vanished: Vanished, atATime: number) {
    this.#parts = parts;
    this.#vanished = vanished;
    this.#atATime = atATime;
  }

  /** True while pages may be missing that were not looked for yet: a list is complete, or of one that was away. */
  get isUnsure(): boolean {
    return this.#counts.length > 0 || this.#back.size > 0;
  }

  /** The holder is asked for its list, from the start. */
  begin(holder: Holder): void {
    this.#stop(holder);
    if (holder.references === 0) {
      this.#back.delete(holder);
      return;
    }
    this.#asked.add(holder);
    this.#parts.groups.beginRound(holder.index);
  }

  /** The holder, which is being asked, was away, and may have none of its pages any more. */
  isBack(holder: Holder): void {
    if (this.#asked.has(holder)) this.#back.add(holder);
  }

  /** The list ends with the link. */
  cancel(holder: Holder): void {
    this.#stop(holder);
    this.#back.delete(holder);
  }

  /** A complete list is of an earlier time from now on. */
  #stop(holder: Holder): void {
    this.#asked.delete(holder);
    this.#counts = this.#counts.filter((count) => count.holder !== holder);
  }

  /** The list is complete. */
  end(holder: Holder): void {
    if (!this.#asked.delete(holder)) return;
    this.#counts.push({ holder, group: 0, strayed: this.#parts.groups.strayed[holder.index]!, pages: 0 });
    this.work();
  }

  /** Looks at the next groups. */
  work(): void {
    const [count] = this.#counts;
    if (count === undefined) return;
    const { groups, port } = this.#parts;
    const end = Math.min(groups.end, count.group + this.#atATime);
    const before = count.pages;
    for (; count.group < end; count.group += 1) this.#look(count);
    if (count.pages > before) port.readAgain();
    if (count.group < groups.end) return;
    this.#counts.shift();
    // What was still to be looked at may have gone to where it had been looked: once more, after the others.
    const strayed = groups.strayed[count.holder.index]!;
    if (count.strayed !== strayed) {
      this.#counts.push({ ...count, group: 0, strayed });
      return;
    }
    this.#back.delete(count.holder);
    if (count.pages === 0) return;
    const fields = { name: count.holder.name, pages: count.pages };
    port.notice("a server does not hold pages any more that it had", fields, "warn");
  }

  #look(count: Count): void {
    const { groups } = this.#parts;
    const { group, holder } = count;
    const { index } = holder;
    // It is kept only until what is under way with it has ended: a copy of a dead page may be gone already.
    if (groups.live[group] === 0) return;
    for (let m = groups.first(group); m < groups.last(group); m += 1) {
      if (groups.holder[m] === index && !groups.isSeen(m) && this.#vanished.member(m)) count.pages += 1;
    }
    const state = groups.state[group];
    const isHeld = state === GroupState.PROTECTED || state === GroupState.PARTING;
    if (!isHeld || groups.parityHolder[group] !== index || groups.isParitySeen(group)) return;
    if (this.#vanished.parity(group)) count.pages += 1;
  }
}
