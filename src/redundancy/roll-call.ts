import type { Holder } from "../placement/holder.ts";
import type { GroupParts } from "./group-parts.ts";
import { GroupState, type GroupTable } from "./group-table.ts";
import type { Vanished } from "./vanished.ts";

/**
 * What servers should hold, against their own lists of what they do: a server that could not be reached for its grace
 * time has freed the client's pages, and is otherwise as it was.
 *
 *     begin: all that it should hold is marked -> listed: the mark goes -> end: what is marked still has vanished
 *
 * What comes to it meanwhile is not marked.
 */
export class RollCall {
  readonly #parts: GroupParts;
  readonly #groups: GroupTable;
  readonly #vanished: Vanished;
  /** Indices of the holders that are being asked. */
  readonly #asked = new Set<number>();

  constructor(parts: GroupParts, vanished: Vanished) {
    this.#parts = parts;
    this.#groups = parts.groups;
    this.#vanished = vanished;
  }

  /** The holder is asked for its list, from the start. */
  begin(holder: Holder): void {
    this.#asked.delete(holder.index);
    if (holder.references === 0) return;
    this.#asked.add(holder.index);
    this.#visit(
      holder.index,
      (member) => {
        this.#groups.unlisted[member] = 1;
      },
      (group) => {
        this.#groups.unlistedParity[group] = 1;
      },
    );
  }

  /** The list ends with the link. */
  cancel(holder: Holder): void {
    this.#asked.delete(holder.index);
  }

  /** The list is complete. */
  end(holder: Holder): void {
    if (!this.#asked.delete(holder.index)) return;
    const { unlisted, unlistedParity } = this.#groups;
    let pages = 0;
    const count = (isGone: boolean): void => {
      if (isGone) pages += 1;
    };
    this.#visit(
      holder.index,
      (member) => count(unlisted[member] === 1 && this.#vanished.member(member)),
      (group) => count(unlistedParity[group] === 1 && this.#vanished.parity(group)),
    );
    if (pages === 0) return;
    this.#parts.port.notice(
      "a server does not hold pages any more that it had",
      { name: holder.name, pages },
      "warn",
    );
    this.#parts.port.readAgain();
  }

  /** Shows the members and the held parity pages that the holder should have. */
  #visit(holder: number, member: (member: number) => void, parity: (group: number) => void): void {
    const groups = this.#groups;
    for (let group = 0; group < groups.end; group += 1) {
      if (groups.state[group] === GroupState.FREE) continue;
      for (let m = groups.first(group); m < groups.last(group); m += 1) {
        if (groups.holder[m] === holder) member(m);
      }
      const state = groups.state[group];
      const isHeld = state === GroupState.PROTECTED || state === GroupState.PARTING;
      if (isHeld && groups.parityHolder[group] === holder) parity(group);
    }
  }
}
