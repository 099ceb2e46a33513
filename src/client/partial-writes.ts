import type { Arena } from "../base/arena.ts";
import { PAGE_BYTES } from "../base/page.ts";
import { type FrameTable, NO_FRAME } from "./frame-table.ts";
import { PageResult, type PageWaiter } from "./page-waiter.ts";

/** What partial writes need of the core. */
export interface PartialWritePort {
  /** Reads the slot's page into the frame; the frame's waiter is told. */
  readPage(frame: number): void;
  /** Writes the frame's whole page, whatever locks there are. */
  applyWrite(frame: number): void;
  applyZero(slot: number, hole: boolean): void;
}

type Deferred =
  | { kind: "page"; frame: number }
  | { kind: "part"; frame: number; from: number; to: number }
  | { kind: "zero"; hole: boolean; waiter: PageWaiter };

/** A slot whose page is being read so that a part of it can be written. */
class Lock implements PageWaiter {
  readonly slot: number;
  readonly part: { frame: number; from: number; to: number };
  readonly deferred: Deferred[] = [];
  readonly #done: (lock: Lock, base: number, result: PageResult) => void;

  constructor(
    slot: number,
    part: Lock["part"],
    done: (lock: Lock, base: number, result: PageResult) => void,
  ) {
    this.slot = slot;
    this.part = part;
    this.#done = done;
  }

  pageDone(frame: number, result: PageResult): void {
    this.#done(this, frame, result);
  }
}

/**
 * Writes of less than a page: read, modify, write. While the read is under way the slot is locked, and what comes
 * for it waits its turn: else two parts of one page, written at once, would undo each other. Swap never writes
 * parts, so this path may allocate.
 */
export class PartialWrites {
  readonly #arena: Arena;
  readonly #frames: FrameTable;
  readonly #port: PartialWritePort;
  readonly #locks = new Map<number, Lock>();

  constructor(arena: Arena, frames: FrameTable, port: PartialWritePort) {
    this.#arena = arena;
    this.#frames = frames;
    this.#port = port;
  }

  get locked(): number {
    return this.#locks.size;
  }

  /** Puts a whole page's write behind the lock of its slot, if there is one. */
  deferPage(frame: number): boolean {
    if (this.#locks.size === 0) return false;
    return this.#defer(this.#frames.slot[frame]!, { kind: "page", frame });
  }

  deferZero(slot: number, hole: boolean, waiter: PageWaiter): boolean {
    if (this.#locks.size === 0) return false;
    return this.#defer(slot, { kind: "zero", hole, waiter });
  }

  #defer(slot: number, deferred: Deferred): boolean {
    const lock = this.#locks.get(slot);
    lock?.deferred.push(deferred);
    return lock !== undefined;
  }

  /** Writes bytes [from, to) of the frame's page; the rest stays as it is on the device. */
  write(frame: number, from: number, to: number): void {
    const slot = this.#frames.slot[frame]!;
    if (this.#defer(slot, { kind: "part", frame, from, to })) return;
    const lock = new Lock(slot, { frame, from, to }, (held, base, result) =>
      this.#baseRead(held, base, result),
    );
    this.#locks.set(slot, lock);
    this.#port.readPage(this.#frames.take(slot, lock));
  }

  #baseRead(lock: Lock, base: number, result: PageResult): void {
    const { frame, from, to } = lock.part;
    if (result === PageResult.OK) {
      const into = this.#frames.address(frame);
      const source = this.#frames.address(base);
      this.#arena.copy(into, source, from);
      this.#arena.copy(into + to, source + to, PAGE_BYTES - to);
      this.#port.applyWrite(frame);
    } else {
      const waiter = this.#frames.waiter[frame]!;
      this.#frames.give(frame);
      waiter.pageDone(NO_FRAME, result);
    }
    this.#frames.give(base);
    this.#locks.delete(lock.slot);
    this.#runDeferred(lock);
  }

  #runDeferred(lock: Lock): void {
    for (const next of lock.deferred) {
      // A part among them may lock the slot anew; what follows queues up behind it.
      if (next.kind === "part") this.write(next.frame, next.from, next.to);
      else if (next.kind === "page") {
        if (!this.deferPage(next.frame)) this.#port.applyWrite(next.frame);
      } else if (!this.deferZero(lock.slot, next.hole, next.waiter)) {
        this.#port.applyZero(lock.slot, next.hole);
        next.waiter.pageDone(NO_FRAME, PageResult.OK);
      }
    }
  }
}
