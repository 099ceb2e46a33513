import { PAGE_BYTES } from "../base/page.ts";
import { type ContentKind, describeContent, isContent } from "./page-content.ts";

/** One write as far as it touches one slot. Points of time are counted in `DeviceModel.point`s. */
export interface SlotWrite {
  readonly number: number;
  readonly kind: ContentKind;
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly begun: number;
  /** When it was over, or first seen by a read; Infinity until then. */
  ended: number;
  /** It has happened: acknowledged, or seen. Else it may have, or may yet until `ended`. */
  definite: boolean;
  /** It is held by whoever is to hold it. */
  acknowledged: boolean;
}

/** Bytes [from, to) of a slot, to which the same writes were made. */
interface Part {
  readonly from: number;
  readonly to: number;
  writes: SlotWrite[];
}

/**
 * What a device may answer, from the requests and answers that its users saw and nothing else. A read may return a
 * write unless another one began after that write was over, and was over itself before the read began.
 */
export class DeviceModel {
  readonly slots: number;
  readonly #parts: Part[][] = [];
  readonly #lost = new Map<number, Uint8Array[]>();
  readonly #openReads = new Set<number>();
  #point = 0;
  #oldestRead = Number.POSITIVE_INFINITY;

  constructor(slots: number) {
    this.slots = slots;
    for (let slot = 0; slot < slots; slot += 1) {
      const first: SlotWrite = {
        ...{ number: 0, kind: "zero", slot, from: 0, to: PAGE_BYTES },
        ...{ begun: -1, ended: 0, definite: true, acknowledged: true },
      };
      this.#parts.push([{ from: 0, to: PAGE_BYTES, writes: [first] }]);
    }
  }

  #next(): number {
    this.#point += 1;
    return this.#point;
  }

  // Writes

  /** A write of bytes [from, to) of the slot is about to be sent. */
  beginWrite(slot: number, from: number, to: number, kind: ContentKind, number: number): SlotWrite {
    const write: SlotWrite = {
      ...{ number, kind, slot, from, to },
      ...{ begun: this.#next(), ended: Number.POSITIVE_INFINITY, definite: false, acknowledged: false },
    };
    this.#split(slot, from);
    this.#split(slot, to);
    for (const part of this.#parts[slot]!) {
      if (part.from >= from && part.to <= to) part.writes.push(write);
    }
    return write;
  }

  #split(slot: number, at: number): void {
    const parts = this.#parts[slot]!;
    const index = parts.findIndex((part) => part.from < at && at < part.to);
    if (index < 0) return;
    const { from, to, writes } = parts[index]!;
    parts.splice(index, 1, { from, to: at, writes: [...writes] }, { from: at, to, writes: [...writes] });
  }

  /** The write was acknowledged. */
  acknowledge(write: SlotWrite): void {
    write.ended = Math.min(write.ended, this.#next());
    write.definite = true;
    write.acknowledged = true;
    this.#prune(write.slot);
  }

  /** The write failed, or nobody will ever say: if it has not happened by now it never will. */
  abandon(write: SlotWrite): void {
    write.ended = Math.min(write.ended, this.#next());
  }

  /** Forgets writes that nothing can return any more, and joins neighbours that are alike. */
  #prune(slot: number): void {
    const horizon = Math.min(this.#oldestRead, this.#point + 1);
    const joined: Part[] = [];
    for (const part of this.#parts[slot]!) {
      part.writes = possibleAt(part.writes, horizon, "acknowledged");
      const last = joined[joined.length - 1];
      if (last !== undefined && alike(last.writes, part.writes)) {
        joined[joined.length - 1] = { from: last.from, to: part.to, writes: last.writes };
      } else joined.push(part);
    }
    this.#parts[slot] = joined;
  }

  // Reads

  /** A read is about to be sent; returns when, to be given back with its answer. */
  beginRead(): number {
    const begun = this.#next();
    this.#openReads.add(begun);
    this.#oldestRead = Math.min(this.#oldestRead, begun);
    return begun;
  }

  endRead(begun: number): void {
    this.#openReads.delete(begun);
    if (begun !== this.#oldestRead) return;
    this.#oldestRead = Number.POSITIVE_INFINITY;
    for (const other of this.#openReads) this.#oldestRead = Math.min(this.#oldestRead, other);
  }

  /**
   * Bytes [from, to) of the slot, at `at` of `bytes`, came for a read begun at `begun`. Returns what
   * is wrong with them, or undefined.
   */
  checkRead(
    slot: number,
    from: number,
    to: number,
    bytes: Uint8Array,
    at: number,
    begun: number,
    learn = true,
  ): string | undefined {
    return this.#check(slot, from, to, bytes, at, begun, learn, "definite");
  }

  /** Says what is wrong if this page is all that is kept of the slot now, whatever is still under way. */
  checkHeld(slot: number, page: Uint8Array): string | undefined {
    return this.#check(slot, 0, PAGE_BYTES, page, 0, this.#point + 1, false, "acknowledged");
  }

  #check(
    slot: number,
    from: number,
    to: number,
    bytes: Uint8Array,
    at: number,
    begun: number,
    learn: boolean,
    by: "definite" | "acknowledged",
  ): string | undefined {
    for (const part of this.#parts[slot]!) {
      const first = Math.max(from, part.from);
      const end = Math.min(to, part.to);
      if (first >= end) continue;
      const offset = at + first - from;
      const after = lastOverwriteAt(part.writes, begun, by);
      let found: SlotWrite | undefined;
      let count = 0;
      for (const w of part.writes) {
        if (w.ended < after || !isContent(w.kind, w.number, slot, first, end, bytes, offset)) continue;
        found = w;
        count += 1;
      }
      if (count === 1 && learn) this.#seen(found!);
      if (count > 0) continue;
      const text = describeContent(slot, first, bytes, offset, end - first);
      const possible = possibleAt(part.writes, begun, by).map(describeWrite).join(", ");
      return `slot ${slot}, bytes ${first} to ${end}: ${text}; possible: ${possible}`;
    }
    return undefined;
  }

  #seen(write: SlotWrite): void {
    if (write.definite) return;
    write.definite = true;
    write.ended = Math.min(write.ended, this.#next());
  }

  /** True if the slot may be all zeros between these bytes for a read that begins now. */
  mayBeZero(slot: number, from: number, to: number, begun: number): boolean {
    return this.#parts[slot]!.every(
      (part) =>
        part.to <= from || part.from >= to || possibleAt(part.writes, begun).some((w) => w.kind === "zero"),
    );
  }

  // Losses

  /** A server that held this page of the slot is gone. */
  lose(slot: number, page: Uint8Array): void {
    const copies = this.#lost.get(slot) ?? [];
    copies.push(page);
    this.#lost.set(slot, copies);
  }

  /** True if a read of the slot begun at `begun` may fail: what it would have to return was lost with a server. */
  mayBeLost(slot: number, begun: number): boolean {
    const copies = this.#lost.get(slot);
    if (copies === undefined) return false;
    return copies.some((page) => this.checkRead(slot, 0, PAGE_BYTES, page, 0, begun, false) === undefined);
  }

  /** The number of pages lost with servers, whether or not they were still meant. */
  get lostCopies(): number {
    let sum = 0;
    for (const copies of this.#lost.values()) sum += copies.length;
    return sum;
  }
}

const alike = (a: readonly SlotWrite[], b: readonly SlotWrite[]): boolean =>
  a.length === b.length && a.every((write, i) => write === b[i]);

/** When the last of those writes began that were over before `begun`: what was over by then is overwritten. */
function lastOverwriteAt(
  writes: readonly SlotWrite[],
  begun: number,
  by: "definite" | "acknowledged",
): number {
  let last = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < writes.length; i += 1) {
    const write = writes[i]!;
    if (write[by] && write.ended < begun && write.begun > last) last = write.begun;
  }
  return last;
}

/** The writes that a read begun at `begun` may return; going by those that happened, or were acknowledged. */
function possibleAt(
  writes: SlotWrite[],
  begun: number,
  by: "definite" | "acknowledged" = "definite",
): SlotWrite[] {
  if (writes.length === 1) return writes;
  const after = lastOverwriteAt(writes, begun, by);
  return writes.every((write) => write.ended >= after) ? writes : writes.filter((w) => w.ended >= after);
}

function describeWrite(write: SlotWrite): string {
  const state = write.definite ? "" : write.ended === Number.POSITIVE_INFINITY ? " in flight" : " maybe";
  return write.number === 0 ? "never written" : `${write.kind} write ${write.number}${state}`;
}
