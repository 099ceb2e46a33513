import { describe, expect, it } from "vitest";
import { Arena } from "../../../src/base/arena.ts";
import { PAGE_BYTES } from "../../../src/base/page.ts";
import { Prng } from "../../../src/base/prng.ts";
import { ClientCounters } from "../../../src/client/counters.ts";
import { FrameTable } from "../../../src/client/frame-table.ts";
import { HedgedReads } from "../../../src/client/hedged-reads.ts";
import { LinkSet } from "../../../src/client/link-set.ts";
import { Patience } from "../../../src/client/patience.ts";
import type { ServerLink } from "../../../src/client/server-link.ts";
import { Asked, Window } from "../../../src/client/window.ts";
import { IpTable } from "../../../src/placement/ip-table.ts";
import { type Redundancy, Rescue } from "../../../src/redundancy/redundancy.ts";
import { SlotMap } from "../../../src/slots/slot-map.ts";

const FRAMES = 8;

/** One read of slot 5, page 77, under way to one server since `sentMs`. */
function rig(options: { rescue?: Rescue; hedgesMax?: number; mode?: "none" | "parity" } = {}) {
  const frames = new FrameTable(new Arena((FRAMES + 4) * PAGE_BYTES), FRAMES);
  const slots = new SlotMap(16);
  const table = new IpTable(new Prng(1));
  const links = new LinkSet(() => {});
  const holder = table.admit("00".repeat(16), "slow");
  table.setUp(holder);
  const window = new Window(FRAMES);
  const link = {
    holder: -1,
    visitReadsBefore: (ms: number, visit: (frame: number) => void) =>
      window.visitBefore(Asked.GET, ms, frames.next, visit),
  } as unknown as ServerLink;
  links.bind(link, holder);
  slots.setPage(5, holder.index, 77, 1);
  const done: number[] = [];
  const replaced: [number, number][] = [];
  const waiter = {
    pageDone: (frame: number) => done.push(frame),
    frameReplaced: (frame: number, other: number) => replaced.push([frame, other]),
  };
  const frame = frames.take(5, waiter);
  frames.pageId[frame] = 77;
  window.enter(Asked.GET, frame, 1, 1_000);
  const rescued: number[] = [];
  const redundancy = {
    mode: options.mode ?? "parity",
    rescue: (_slot: number, other: number) => {
      rescued.push(other);
      return options.rescue ?? Rescue.UNDER_WAY;
    },
  } as unknown as Redundancy;
  const counters = new ClientCounters();
  const hedgesMax = options.hedgesMax ?? 4;
  const patience = new Patience(table, links);
  const reads = new HedgedReads({
    frames,
    slots,
    table,
    links,
    redundancy: () => redundancy,
    patience,
    counters,
    hedgesMax,
  });
  /** Ticks until then, and a look at that time. */
  const checkAt = (ms: number) => {
    for (let nowMs = 900; nowMs < ms; nowMs += 10) patience.look(nowMs);
    patience.look(ms);
    reads.check();
  };
  return { link, frames, slots, reads, checkAt, frame, window, waiter, done, replaced, rescued, counters };
}

describe("a read that a server is slow to answer", () => {
  it("goes on in another frame, made from other pages; the slow answer frees the frame it was left to", () => {
    const { frames, reads, checkAt, frame, waiter, done, replaced, rescued, counters } = rig();
    checkAt(1_040);
    expect(rescued).toEqual([]);
    checkAt(1_080);
    const [other] = rescued;
    expect(replaced).toEqual([[frame, other]]);
    expect(frames.waiter[other!]).toBe(waiter);
    expect(reads.isLeft(frame)).toBe(true);
    expect(counters.readsHedged).toBe(1);
    checkAt(1_200);
    expect(rescued).toHaveLength(1);
    frames.waiter[frame]!.pageDone(frame, 0);
    expect(done).toEqual([]);
    expect(frames.used).toBe(1);
  });

  it("does not wait as long for a server that says nothing at all", () => {
    const { link, rescued, checkAt } = rig();
    Object.assign(link, { owed: true, lastHeardMs: 500 });
    checkAt(1_040);
    expect(rescued).toHaveLength(1);
  });

  it("waits on when the page cannot be made, and takes no frame for that", () => {
    const { frames, checkAt, frame, waiter } = rig({ rescue: Rescue.LATER });
    checkAt(1_080);
    expect(frames.waiter[frame]).toBe(waiter);
    expect(frames.used).toBe(1);
  });

  it("is left alone without redundancy, beyond the limit, and when its slot means another page by now", () => {
    const none = rig({ mode: "none" });
    none.checkAt(2_000);
    const full = rig({ hedgesMax: 0 });
    full.checkAt(2_000);
    const moved = rig();
    moved.slots.setPage(5, 0, 78, 1);
    moved.checkAt(2_000);
    expect([none.rescued, full.rescued, moved.rescued]).toEqual([[], [], []]);
  });
});
