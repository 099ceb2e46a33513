import { OWN_STORE, ResultStatus } from "../../proto/peer/index.ts";
import { Prng } from "../../src/base/prng.ts";
import { NONE } from "../../src/redundancy/group-table.ts";
import { MirrorCopies } from "../../src/redundancy/mirror-copies.ts";
import { OperationKind } from "../../src/redundancy/operation.ts";
import { Reach } from "../../src/redundancy/reach.ts";
import { RollCall } from "../../src/redundancy/roll-call.ts";
import { Standing } from "../../src/redundancy/standing.ts";
import type { SimClient } from "../../src/sim/sim-client.ts";
import type { SimOptions } from "../../src/sim/sim-options.ts";
import { onLinks, type Plant, still } from "./planted.ts";

function dropBeforeDead(client: SimClient): void {
  const { core } = client;
  const links = new Set<ReturnType<typeof core.openLink>>();
  onLinks(client, (link) => links.add(link));
  const { redundancy } = core;
  const pageDead = redundancy.pageDead.bind(redundancy);
  redundancy.pageDead = (slot, pageId, holder) => {
    pageDead(slot, pageId, holder);
    if (redundancy.groups!.find(slot, pageId) === NONE) return;
    for (const link of links) if (link.up && link.holder === holder) link.invalidate(pageId);
  };
}

function skipOneXor({ arena }: SimClient): void {
  const { xor } = arena;
  let count = 0;
  Object.defineProperty(arena, "xor", {
    value: (to: number, from: number, bytes: number) => {
      count += 1;
      if (count % 50 !== 0) xor.call(arena, to, from, bytes);
    },
  });
}

/** Runs with clients that do nothing for a group as long as all its live pages are there. */
function withSurvivorsLeftAlone<T>(run: () => T): T {
  const { isDegraded } = Standing.prototype;
  Standing.prototype.isDegraded = function (this: Standing, group) {
    return isDegraded.call(this, group) && !this.livesLinked(group);
  };
  try {
    return run();
  } finally {
    Standing.prototype.isDegraded = isDegraded;
  }
}

function leaveTwice(client: SimClient): void {
  onLinks(client, (link) => {
    const operate = link.operate.bind(link);
    link.operate = (operation, nowMs) => {
      const { kind, memberIds, memberCount, sourceIds, sourceHolders, sourceCount } = operation;
      const members = new Set(memberIds.subarray(0, memberCount));
      for (let i = 0; kind === OperationKind.COMPOSE && i < sourceCount; i += 1) {
        if (sourceHolders[i] === OWN_STORE || members.has(sourceIds[i]!)) continue;
        operation.addSource(sourceIds[i]!, sourceHolders[i]!);
        break;
      }
      operate(operation, nowMs);
    };
  });
}

function acceptStaleResult(client: SimClient): void {
  const { core } = client;
  const stale = new Set<number>();
  const taken = new Set<number>();
  const done = core.operationDone.bind(core);
  core.operationDone = (index, status, checksum) => taken.delete(index) || done(index, status, checksum);
  onLinks(client, (link) => {
    const surrender = link.surrender.bind(link);
    link.surrender = (put, get, operation) =>
      surrender(put, get, (index) => {
        stale.add(index);
        operation?.(index);
      });
    const operate = link.operate.bind(link);
    link.operate = (operation, nowMs) => {
      operate(operation, nowMs);
      if (!stale.delete(operation.index)) return;
      done(operation.index, ResultStatus.OK, 7);
      taken.add(operation.index);
    };
  });
}

/** What a scrub that is wrong, or says the same again and again, might tell the client, until all is to settle. */
export function tellOfMismatches({ core, process }: SimClient, told: () => void): void {
  const lies = new Prng(1);
  const links = new Set<ReturnType<typeof core.openLink>>();
  onLinks({ core }, (link) => links.add(link));
  const tick = core.tick.bind(core);
  core.tick = (nowMs) => {
    tick(nowMs);
    const { groups } = core.redundancy;
    if (process.nowMs > grouped.chaosMs! || groups === undefined) return;
    const group = lies.below(groups.end + 1);
    const pages = [...groups.pageId.subarray(groups.first(group), groups.last(group)), lies.below(1_000)];
    const parityId = lies.chance(0.1) ? 1 : groups.parityId[group]!;
    const pageId = lies.chance(0.3) ? parityId : pages[lies.below(pages.length)]!;
    for (const link of links) {
      if (!link.up || link.holder !== groups.parityHolder[group]) continue;
      core.mismatchFound(link, group, parityId, pageId);
      told();
    }
  };
}

const kills = { crash: 6, "lose power": 4, "shut down": 2 };
const links = { clog: 2, reset: 4, cut: 1, refuse: 1, "hang server": 2, "hang client": 0, "slow server": 1 };
const work = { "write pages": 20, "write part": 2, "write same-filled": 1, trim: 3, zero: 1, read: 8 };

/** Small clusters with groups that are overwritten and re-formed all the time. */
export const grouped: Partial<SimOptions> = {
  ...{ clients: 1, servers: 4, parityServers: 2, redundancy: "parity", groupSize: 3, losses: "one" },
  ...{ slots: 40, hotShare: 0.3, hotSlots: 8, pagesPerRequestMax: 4, capacityShare: 3, parityShare: 3 },
  ...{ chaosMs: 20_000, requestsPerS: 40, depth: 16, accumulators: 12, operationsMax: 4, lostAfterMs: 300 },
  ...{ faultEveryMs: 500, faults: { ...links, ...kills }, mix: { ...work, status: 0, flush: 0 } },
  ...{ ...still, rotEveryMs: Number.POSITIVE_INFINITY },
};

/** The same, with pages that go bad in the memory of servers. */
export const rotting: Partial<SimOptions> = { ...grouped, scrubPerTick: 1, rotEveryMs: 300 };

/** The same, with servers that stand and lose pages: those of a client that is cut off, or a few. */
export const vanishing: Partial<SimOptions> = {
  ...{ ...grouped, vanishEveryMs: 700, cutOffShare: 0.5, clientGraceMs: 1_000, reapFramesPerTick: 10 },
  ...{ requestsPerS: 5, recoveryPagesPerSecond: 80_000 },
  faults: { ...links, crash: 1, "lose power": 1, "shut down": 0 },
};

/** The same, with parity servers that do not reach some memory servers. */
export const severed: Partial<SimOptions> = { ...grouped, severEveryMs: 3_000, faultEveryMs: 2_000 };

/** Several clients, and parity servers with links for one at a time. */
export const contended: Partial<SimOptions> = { ...grouped, clients: 3, parityLinksMore: 0 };

export const mirrored: Partial<SimOptions> = { redundancy: "mirror", parityServers: 0 };

/** Mirrors with pages, or their copies, that go bad in the memory of servers. */
export const rottingMirror: Partial<SimOptions> = { ...grouped, ...mirrored, rotEveryMs: 300 };

/** Runs with clients that do not mind what a server's list lacks. */
function withoutRollCall<T>(run: () => T): T {
  const { end } = RollCall.prototype;
  RollCall.prototype.end = () => {};
  try {
    return run();
  } finally {
    RollCall.prototype.end = end;
  }
}

/** Runs with clients that ask a parity server again and again for what it could not reach. */
function withFailuresForgotten<T>(run: () => T): T {
  const { ended } = Reach.prototype;
  Reach.prototype.ended = () => {};
  try {
    return run();
  } finally {
    Reach.prototype.ended = ended;
  }
}

/** Runs with mirrors that read past what is wrong, and leave it. */
function withWrongLeftAlone<T>(run: () => T): T {
  const { wrong } = MirrorCopies.prototype;
  MirrorCopies.prototype.wrong = () => {};
  try {
    return run();
  } finally {
    MirrorCopies.prototype.wrong = wrong;
  }
}

export const PARITY_PLANTS: Plant[] = [
  {
    name: "a page is dropped before its group is dead",
    hooks: { client: dropBeforeDead },
    options: grouped,
    seeds: 100,
    finds: /misses its page|lost with one server|EIO, although/,
  },
  {
    name: "one XOR is left out",
    hooks: { client: skipOneXor },
    options: grouped,
    seeds: 100,
    finds: /is not the XOR of its pages|EIO, although|unanswered/,
  },
  {
    name: "only lost pages are protected anew, not what survives of their groups",
    hooks: {},
    around: withSurvivorsLeftAlone,
    options: grouped,
    seeds: 100,
    finds: /on a server that is gone|lost with one server/,
  },
  {
    name: "a leave is applied twice",
    hooks: { client: leaveTwice },
    options: grouped,
    seeds: 100,
    finds: /is not the XOR of its pages|EIO, although/,
  },
  {
    name: "a RESULT is taken for that of the operation that came after",
    hooks: { client: acceptStaleResult },
    options: grouped,
    seeds: 100,
    finds: new RegExp(
      [
        "misses its",
        "is not the XOR of its pages",
        "made that are not what they should be",
        "does not hold",
        "EIO, although",
        "unprotected",
      ].join("|"),
    ),
  },
  {
    name: "nobody listens to what a scrub has found",
    hooks: { client: ({ core }) => Object.assign(core, { mismatchFound: () => {} }) },
    options: rotting,
    seeds: 100,
    finds: /gone bad when all is quiet/,
  },
  {
    name: "nobody minds what a server does not have any more",
    hooks: {},
    around: withoutRollCall,
    options: vanishing,
    seeds: 20,
    finds: /vanished from its server when all is quiet|unprotected/,
  },
  {
    name: "nobody minds what a parity server does not reach",
    hooks: {},
    around: withFailuresForgotten,
    options: severed,
    seeds: 20,
    finds: /unprotected that need no server/,
  },
  {
    name: "a page of a mirror that was read wrong is left as it is",
    hooks: {},
    around: withWrongLeftAlone,
    options: rottingMirror,
    seeds: 20,
    finds: /gone bad when all is quiet/,
  },
];
