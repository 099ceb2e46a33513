import { limits } from "../base/limits.ts";
import { Prng } from "../base/prng.ts";

/** Everything that a run is made of; all of it follows from the seed unless it is given. */
export interface SimOptions {
  seed: number;
  clients: number;
  servers: number;
  parityServers: number;
  redundancy: Redundancy;
  /** Most data pages in a parity group. */
  groupSize: number;
  /**
   * With redundancy: how many servers lose their pages between two moments at which all is protected. "one" costs no
   * page; "two" at the same time, or "any", cost those of which too much was lost.
   */
  losses: Losses;
  /** Page frames of a client for XORs of groups that are open or closing. */
  accumulators: number;
  operationsMax: number;
  lostAfterMs: number;
  recoveryPagesPerSecond: number;
  slots: number;
  /** Share of all slots that the servers together have frames for. */
  capacityShare: number;
  /** Share of what small groups of all slots would need that the parity servers together have frames for. */
  parityShare: number;
  parityWorkFrames: number;
  /** Share of a parity server's frames that are kept for COMPOSE; 0: as many as it keeps by itself. */
  composeShare: number;
  /** So many links a parity server may have beyond those to all memory servers for one client. */
  parityLinksMore: number;
  /** Groups that a parity server's scrub looks at in one tick. */
  scrubPerTick: number;
  /** Mean time between two pages that go bad in the memory of a server; Infinity: none does. */
  rotEveryMs: number;
  /** Mean time between two changes of what some server lends; Infinity: all lend all the time what they have. */
  lendEveryMs: number;
  /**
   * Mean time between two occasions for pages to vanish from a server that stands, Infinity: there are none; and the
   * share of them that are connections cut off for about the grace time.
   */
  vanishEveryMs: number;
  cutOffShare: number;
  /** Share of the servers that are started again at another address than before. */
  moveShare: number;
  /** How long servers keep the pages of a client that is cut off, and how many they then free in a tick. */
  clientGraceMs: number;
  reapFramesPerTick: number;
  /** Mean time between two partitions of a parity server from a memory server; Infinity: there are none. */
  severEveryMs: number;
  chaosMs: number;
  /** Mean time between two faults; Infinity for none. */
  faultEveryMs: number;
  /** Relative frequency of each fault. */
  faults: Record<Fault, number>;
  /** Requests a second and NBD client, in a burst and on average. */
  requestsPerS: number;
  connectionsPerClient: number;
  depth: number;
  /** Relative frequency of each kind of request. */
  mix: Record<Work, number>;
  /** Share of requests that go to a few slots. */
  hotShare: number;
  hotSlots: number;
  pagesPerRequestMax: number;
  clientFrames: number;
  clientFramesSoft: number;
  splitRate: number;
  latencyMs: number;
  jitterMs: number;
  bufferBytes: number;
  readBytes: number;
  nbdBlocks: number;
  peerBlocks: number;
  serverBlocks: number;
  peerQueueBytesSoft: number;
  serverQueueBytesSoft: number;
  listScanFrames: number;
  zeroSlotsPerTurn: number;
  zeroSlotsAtATime: number;
  keyed: boolean;
}

export const REDUNDANCIES = ["none", "mirror", "parity"] as const;
export type Redundancy = (typeof REDUNDANCIES)[number];

const LOSSES = ["one", "two", "any"] as const;
export type Losses = (typeof LOSSES)[number];

export const FAULTS = [
  "clog",
  "reset",
  "cut",
  "refuse",
  "hang server",
  "hang client",
  "slow server",
  "crash",
  "lose power",
  "shut down",
] as const;
export type Fault = (typeof FAULTS)[number];

export const WORKS = [
  "write pages",
  "write part",
  "write same-filled",
  "trim",
  "zero",
  "read",
  "status",
  "flush",
] as const;
export type Work = (typeof WORKS)[number];

/** `length` bytes of chance. */
export function drawBytes(prng: Prng, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = prng.below(256);
  return bytes;
}

/** One of the names, by weight. */
export function pickWeighted<T extends string>(
  prng: Prng,
  names: readonly T[],
  weights: Record<T, number>,
): T {
  let left = prng.below(1_000_000) / 1_000_000;
  left *= names.reduce((sum, name) => sum + weights[name], 0);
  for (const name of names) {
    left -= weights[name];
    if (left < 0) return name;
  }
  return names[names.length - 1]!;
}

function drawWeights<T extends string>(prng: Prng, names: readonly T[], absent: number): Record<T, number> {
  const weights = {} as Record<T, number>;
  for (const name of names) weights[name] = prng.chance(absent) ? 0 : 1 + prng.below(20);
  weights[names[prng.below(names.length)]!] += 5;
  return weights;
}

/** What redundancy adds to a run; drawn last, so that runs without it stay as they are. */
function drawRedundancy(prng: Prng, given: Partial<SimOptions>): Partial<SimOptions> {
  const drawn = pickWeighted(prng, REDUNDANCIES, { none: 3, mirror: 2, parity: 5 });
  const asked = given.parityServers === undefined ? undefined : given.parityServers > 0 ? "parity" : "none";
  const redundancy = given.redundancy ?? asked ?? drawn;
  const groupSize = oneOf(prng, [2, 3, 4, 4, 8]);
  const losses = pickWeighted(prng, LOSSES, { one: 6, two: 2, any: 2 });
  const options = { redundancy, groupSize, losses, parityServers: 0 };
  if (redundancy === "none") return options;
  const more = {
    ...options,
    servers: between(prng, 2, 6),
    slots: oneOf(prng, [24, 64, 64, 200]),
    capacityShare: oneOf(prng, [1.5, 3, 6]),
    parityServers: redundancy === "parity" ? between(prng, 1, 2) : 0,
    parityShare: oneOf(prng, [0.3, 1, 1, 3]),
    parityWorkFrames: oneOf(prng, [160, 200, 400]),
    scrubPerTick: oneOf(prng, [0, 0, 1]),
    accumulators: oneOf(prng, [4, 12, 40]),
    operationsMax: oneOf(prng, [1, 4, 64]),
    lostAfterMs: oneOf(prng, [100, 1_000, 5_000]),
    recoveryPagesPerSecond: oneOf(prng, [40, 1_000, 80_000]),
  };
  if (redundancy === "mirror" || !prng.chance(0.25)) return more;
  return { ...more, scrubPerTick: 1, rotEveryMs: oneOf(prng, [500, 2_000, 10_000]) };
}

/** Misfortunes that came to be drawn later: by a chance of their own, so that all else stays as it was. */
function drawMore(prng: Prng, redundancy: Redundancy): Partial<SimOptions> {
  const never = Number.POSITIVE_INFINITY;
  const sometimes = (share: number, values: readonly number[]): number =>
    prng.chance(share) ? oneOf(prng, values) : never;
  const more = {
    lendEveryMs: sometimes(0.25, [200, 2_000, 10_000]),
    vanishEveryMs: sometimes(0.3, [500, 2_000, 8_000]),
    cutOffShare: oneOf(prng, [0, 0.5, 1]),
    clientGraceMs: oneOf(prng, [1_000, 4_000, 10_000]),
    reapFramesPerTick: oneOf(prng, [1, 10, 10_000]),
  };
  if (more.vanishEveryMs === never) more.clientGraceMs = limits.clientGraceMs;
  const rotEveryMs = sometimes(0.3, [500, 2_000, 10_000]);
  if (redundancy === "mirror") return { ...more, rotEveryMs };
  const severEveryMs = sometimes(0.12, [1_000, 4_000, 20_000]);
  const parityLinksMore = sometimes(0.3, [0, 1, 4]);
  return redundancy === "parity" ? { ...more, severEveryMs, parityLinksMore } : more;
}

/**
 * Parity servers with hardly more frames than there are groups, or fewer, while pages are overwritten all the time:
 * merging and refilling never end. By a chance of its own as well.
 */
function drawShortage(prng: Prng, redundancy: Redundancy, drawn: Readonly<SimOptions>): Partial<SimOptions> {
  if (redundancy !== "parity" || !prng.chance(0.12)) return {};
  const groupSize = oneOf(prng, [2, 3, 4, 4]);
  return {
    groupSize,
    servers: groupSize + oneOf(prng, [0, 0, 1, 2]),
    parityShare: oneOf(prng, [0.9, 1.1, 1.3, 1.6, 2.2]) / groupSize,
    composeShare: oneOf(prng, [0, 0.2]),
    capacityShare: oneOf(prng, [2, 3, 6]),
    requestsPerS: oneOf(prng, [10, 40]),
    hotShare: 0,
    mix: { ...drawn.mix, "write pages": 60 },
  };
}

const between = (prng: Prng, from: number, to: number): number => from + prng.below(to - from + 1);
const oneOf = (prng: Prng, values: readonly number[]): number => values[prng.below(values.length)]!;

/** Added to a seed for what was drawn from the start no more. */
const MORE = 4_000_003;
const FEW = 8_000_003;
const SHORTAGE = 12_000_017;

/** With fewer, the longest answer would never be begun while all connections have something to send. */
function fewestBlocks(pagesPerRequestMax: number, connections: number): number {
  const answerBytes = Math.max(pagesPerRequestMax * 4096, limits.nbdPlainAnswerBytesMax);
  return Math.ceil((answerBytes + 2 * 16_384 * connections) / (16_384 - 4096));
}

/** The options of a seed's run. */
export function drawOptions(seed: number, given: Partial<SimOptions> = {}): SimOptions {
  const prng = new Prng(seed);
  const pagesPerRequestMax = oneOf(prng, [1, 4, 16, 40]);
  const longestFrames = pagesPerRequestMax + 3;
  const clientFramesSoft = between(prng, 8, 64);
  const mix = drawWeights(prng, WORKS, 0.15);
  mix.read += 4;
  mix["write pages"] += 4;
  const drawn: SimOptions = {
    seed,
    clients: between(prng, 1, 3),
    servers: between(prng, 1, 5),
    slots: oneOf(prng, [64, 64, 200, 512, 2048]),
    capacityShare: oneOf(prng, [0.3, 0.6, 1, 1.5, 3]),
    chaosMs: between(prng, 5_000, 90_000),
    faultEveryMs: oneOf(prng, [100, 500, 2_000, 8_000, Number.POSITIVE_INFINITY]),
    faults: drawWeights(prng, FAULTS, 0.3),
    requestsPerS: oneOf(prng, [1, 3, 10, 40]),
    connectionsPerClient: between(prng, 1, 4),
    depth: oneOf(prng, [1, 4, 16, 64]),
    mix,
    hotShare: oneOf(prng, [0, 0.3, 0.8]),
    hotSlots: between(prng, 1, 8),
    pagesPerRequestMax,
    clientFrames: longestFrames + clientFramesSoft + prng.below(32),
    clientFramesSoft,
    splitRate: oneOf(prng, [0, 0.01, 0.1]),
    latencyMs: oneOf(prng, [0.05, 0.3, 2]),
    jitterMs: oneOf(prng, [0, 0.2, 5]),
    bufferBytes: oneOf(prng, [3_000, 20_000, 200_000]),
    readBytes: oneOf(prng, [700, 5_000, 65_536]),
    nbdBlocks: 0,
    peerBlocks: between(prng, 64, 200),
    serverBlocks: between(prng, 12, 64),
    peerQueueBytesSoft: oneOf(prng, [4_096, 50_000, 1_000_000]),
    serverQueueBytesSoft: oneOf(prng, [1, 10_000, 1_000_000]),
    listScanFrames: oneOf(prng, [3, 50, 100_000]),
    zeroSlotsPerTurn: oneOf(prng, [1, 20, 10_000]),
    zeroSlotsAtATime: oneOf(prng, [1, 7, 1_000]),
    keyed: prng.chance(0.3),
    moveShare: 0,
    ...{ redundancy: "none", groupSize: 1, losses: "any", parityServers: 0 },
    ...{
      parityShare: 0,
      parityWorkFrames: 0,
      composeShare: 0,
      scrubPerTick: 0,
      rotEveryMs: Number.POSITIVE_INFINITY,
      ...{ lendEveryMs: Number.POSITIVE_INFINITY, vanishEveryMs: Number.POSITIVE_INFINITY, cutOffShare: 0 },
      ...{ severEveryMs: Number.POSITIVE_INFINITY, parityLinksMore: Number.POSITIVE_INFINITY },
      ...{ clientGraceMs: limits.clientGraceMs, reapFramesPerTick: limits.reapFramesPerTickMax },
      accumulators: 0,
      operationsMax: 1,
      lostAfterMs: 1_000,
      recoveryPagesPerSecond: 1,
    },
  };
  const blocksMore = prng.below(16);
  const protection = drawRedundancy(prng, given);
  const more = drawMore(new Prng(seed + MORE), protection.redundancy!);
  // A scrub takes links that nobody else needs: with few of them it may not find in time what has gone bad.
  if (protection.rotEveryMs !== undefined) more.parityLinksMore = Number.POSITIVE_INFINITY;
  const shortage = drawShortage(new Prng(seed + SHORTAGE), protection.redundancy!, drawn);
  const few = new Prng(seed + FEW);
  const hasFewBlocks = few.chance(0.3);
  drawn.moveShare = few.chance(0.1) ? 0.5 : 0;
  const options: SimOptions = { ...drawn, ...protection, ...more, ...shortage, ...given };
  // Answers of one longest read and of the connections' unfilled blocks, and some room for others.
  const longestBlocks = Math.ceil((pagesPerRequestMax * 4096 * 2) / 16_384) + 2;
  const { connectionsPerClient } = options;
  if (hasFewBlocks) options.nbdBlocks ||= fewestBlocks(pagesPerRequestMax, connectionsPerClient);
  options.nbdBlocks ||= longestBlocks + 2 * connectionsPerClient + 4 + blocksMore;
  return options;
}
