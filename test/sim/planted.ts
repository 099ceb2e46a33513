import { limits } from "../../src/base/limits.ts";
import { PAGE_BYTES } from "../../src/base/page.ts";
import { NO_FRAME } from "../../src/client/frame-table.ts";
import { PageResult } from "../../src/client/page-waiter.ts";
import { FrameStore } from "../../src/server/frame-store.ts";
import type { SimClient } from "../../src/sim/sim-client.ts";
import type { SimOptions } from "../../src/sim/sim-options.ts";
import type { SimParity } from "../../src/sim/sim-parity.ts";
import type { SimServer } from "../../src/sim/sim-server.ts";
import type { Hooks } from "../../src/sim/simulation.ts";

/** A defect, planted in the cores of a run, and what the checkers are to say about it. */
export interface Plant {
  name: string;
  hooks: Hooks;
  /** With `withFlippedBits`. */
  flipped?: true;
  /** What the run is to be wrapped in. */
  around?: <T>(run: () => T) => T;
  /** Options that give the defect occasion. */
  options: Partial<SimOptions>;
  /** One of this many seeds must find it. */
  seeds: number;
  finds: RegExp;
}

const nobody = { pageDone: () => {} };

function acknowledgeEarly({ core }: SimClient): void {
  const write = core.writePage.bind(core);
  core.writePage = (frame) => {
    const waiter = core.frames.waiter[frame]!;
    core.frames.waiter[frame] = nobody;
    write(frame);
    waiter.pageDone(frame, PageResult.OK);
  };
}

/** Runs `change` on each link of a client as it is made. */
export function onLinks(
  { core }: Pick<SimClient, "core">,
  change: (link: ReturnType<SimClient["core"]["openLink"]>) => void,
): void {
  const open = core.openLink.bind(core);
  core.openLink = (out, nowMs, role) => {
    const link = open(out, nowMs, role);
    change(link);
    return link;
  };
}

function invalidateWrong(client: SimClient): void {
  let count = 0;
  onLinks(client, (link) => {
    const invalidate = link.invalidate.bind(link);
    link.invalidate = (pageId) => {
      count += 1;
      invalidate(count % 20 === 0 ? pageId + 1 : pageId);
    };
  });
}

function letStaleWin({ core }: SimClient): void {
  const held = core.pageHeld.bind(core);
  core.pageHeld = (link, frame) => {
    if (core.frames.stale[frame] !== 1) return held(link, frame);
    const { slot, pageId, checksum } = core.frames;
    core.slots.setPage(slot[frame]!, link.holder, pageId[frame]!, checksum[frame]!);
    const { invalidate } = link;
    link.invalidate = () => {};
    held(link, frame);
    link.invalidate = invalidate;
  };
}

function trustLostAcks(client: SimClient): void {
  onLinks(client, (link) => {
    const surrender = link.surrender.bind(link);
    link.surrender = (_put, get) => surrender((frame) => client.core.pageHeld(link, frame), get);
  });
}

function skipChecksums({ core }: SimClient): void {
  core.pageArrived = (_link, frame) => core.frames.waiter[frame]!.pageDone(frame, PageResult.OK);
}

/**
 * Runs with servers of both kinds that read one page in so many with a wrong bit, never the same page twice in a row:
 * it would count as lost. What the checkers look at is as it is stored, and that parity servers find fault is no fault.
 */
export function withFlippedBits<T>(run: (hooks: Hooks) => T, every = 10): T {
  const { read } = FrameStore.prototype;
  let flipping = true;
  let count = 0;
  const justFlipped = new Set<number>();
  FrameStore.prototype.read = function (this: FrameStore, frame, pages, into, at) {
    read.call(this, frame, pages, into, at);
    if (!flipping) return;
    for (let i = 0; i < pages; i += 1) {
      count += 1;
      const wrong = count % every === 0 && !justFlipped.has(frame + i);
      if (wrong) into[at + i * 4096 + 77]! ^= 4;
      if (wrong) justFlipped.add(frame + i);
      else justFlipped.delete(frame + i);
    }
  };
  const lookAsStored = ({ core }: SimServer | SimParity): void => {
    const readFrame = core.readFrame.bind(core);
    core.readFrame = (frame, into, at) => {
      flipping = false;
      readFrame(frame, into, at);
      flipping = true;
    };
  };
  try {
    return run({
      server: lookAsStored,
      parity: (parity) => {
        lookAsStored(parity);
        Object.defineProperty(parity, "wrongFound", { value: {} });
      },
    });
  } finally {
    FrameStore.prototype.read = read;
  }
}

function leakFrames({ core }: SimClient): void {
  const ended = core.linkEnded.bind(core);
  core.linkEnded = (link) => {
    const wasUp = link.holder >= 0;
    ended(link);
    if (wasUp && core.frames.free > 0) core.frames.take(0, nobody);
  };
}

function writePartsUnlocked({ core, arena }: SimClient): void {
  core.writePart = (frame, from, to) => {
    const slot = core.frames.slot[frame]!;
    const base = core.frames.take(slot, {
      pageDone(read, result) {
        const waiter = core.frames.waiter[frame]!;
        if (result === PageResult.OK) {
          const into = core.frames.address(frame);
          const source = core.frames.address(read);
          arena.copy(into, source, from);
          arena.copy(into + to, source + to, PAGE_BYTES - to);
          core.frames.give(read);
          core.writePage(frame);
        } else {
          core.frames.give(read);
          core.frames.give(frame);
          waiter.pageDone(NO_FRAME, result);
        }
      },
    });
    core.readPage(base);
  };
}

function forgetReads(client: SimClient): void {
  onLinks(client, (link) => {
    const surrender = link.surrender.bind(link);
    link.surrender = (put) => surrender(put, () => {});
  });
}

function ignoreLimit({ core }: SimServer): void {
  core.store.lend = () => {};
}

/** Without limits that move, pages that vanish, partial partitions, and few links. */
export const still: Partial<SimOptions> = {
  lendEveryMs: Number.POSITIVE_INFINITY,
  ...{ severEveryMs: Number.POSITIVE_INFINITY, parityLinksMore: Number.POSITIVE_INFINITY },
  vanishEveryMs: Number.POSITIVE_INFINITY,
  ...{ clientGraceMs: limits.clientGraceMs, moveShare: 0 },
};

const noFaults = {
  clog: 0,
  reset: 0,
  cut: 0,
  refuse: 0,
  "hang server": 0,
  "hang client": 0,
  "slow server": 0,
};
const resets = {
  ...noFaults,
  reset: 1,
  clog: 1,
  "hang server": 1,
  crash: 0,
  "lose power": 0,
  "shut down": 0,
};
const mix = {
  "write pages": 10,
  "write part": 0,
  "write same-filled": 2,
  trim: 2,
  zero: 2,
  read: 10,
  status: 0,
};
const busy: Partial<SimOptions> = {
  ...{
    chaosMs: 20_000,
    requestsPerS: 40,
    depth: 16,
    slots: 64,
    capacityShare: 3,
    hotShare: 0.5,
    hotSlots: 4,
  },
  ...{ faultEveryMs: 500, faults: resets, mix: { ...mix, flush: 0 }, servers: 3, redundancy: "none" },
  ...still,
};

export const PLANTS: Plant[] = [
  {
    name: "a write is acknowledged before a server has it",
    hooks: { client: acknowledgeEarly },
    options: busy,
    seeds: 3,
    finds: /was acknowledged, but|admission leaves a frame|invariant/,
  },
  {
    name: "INVALIDATE names the wrong page",
    hooks: { client: invalidateWrong },
    options: busy,
    seeds: 3,
    finds: /does not hold|EIO, although|nobody means/,
  },
  {
    name: "an older write that is held late replaces a newer one",
    hooks: { client: letStaleWin },
    options: { ...busy, hotShare: 1 },
    seeds: 10,
    finds: /wrong bytes|holds wrong bytes|nobody means|it should be|live pages|was acknowledged/,
  },
  {
    name: "a lost acknowledgement counts as one",
    hooks: { client: trustLostAcks },
    options: busy,
    seeds: 5,
    finds: /does not hold|EIO, although/,
  },
  {
    name: "checksums are not verified, and a server flips bits",
    hooks: { client: skipChecksums },
    flipped: true,
    options: busy,
    seeds: 3,
    finds: /wrong bytes/,
  },
  {
    name: "a frame leaks whenever a link ends",
    hooks: { client: leakFrames },
    options: busy,
    seeds: 5,
    finds: /frames in use when all is quiet|admission leaves a frame/,
  },
  {
    name: "parts of pages are written without a lock",
    hooks: { client: writePartsUnlocked },
    options: { ...busy, mix: { ...mix, "write part": 40, flush: 0 }, hotShare: 1 },
    seeds: 5,
    finds: /wrong bytes|was acknowledged, but/,
  },
  {
    name: "reads under way are forgotten when their link ends",
    hooks: { client: forgetReads },
    options: busy,
    seeds: 5,
    finds: /unanswered|final reads/,
  },
  {
    name: "a server goes on taking pages when it lends no more",
    hooks: { server: ignoreLimit },
    options: { ...busy, lendEveryMs: 300 },
    seeds: 5,
    finds: /frames used, although it lends/,
  },
];
