import { invariant } from "./assert.ts";
import { PAGE_BYTES } from "./page.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Every bound of the program in one place. Bytes, counts and milliseconds, as the names say. */
export const limits = {
  /** What one socket read may bring, and so what is carried over while a connection is stalled. */
  receiveBytesMax: 256 * KiB,
  /** A client looks for the next bytes so long before it sleeps, when that pays; microseconds. */
  busyPollUs: 50,
  /** Not while more pages than this are under way: then the memory servers may need the processor. */
  busyPollFramesMax: 4,
  /** Unit of the queues of bytes to be sent. */
  sendBlockBytes: 256 * KiB,

  /** Longest NBD request, as advertised (the protocol's customary 32 MiB). */
  nbdRequestBytesMax: 32 * MiB,
  nbdConnectionsMax: 512,
  /** What many short requests read at a time lead to is sent behind each that ends after so many bytes. */
  nbdTurnBytes: 32 * KiB,
  /** NBD requests taken from one connection and not yet answered. */
  nbdRequestsInFlightMax: 1024,

  /** Page frames that ordinary requests may hold together: beyond it, sockets are left unread. */
  clientFramesSoft: 4096,
  /** Page frames of a client: the soft limit, one request of the longest kind, and its two partial pages. */
  clientFrames: 4096 + (32 * MiB) / PAGE_BYTES + 64,
  /** A client writes to all memory that it will need at its start: so much at a time. */
  touchStepBytes: 16 * MiB,
  /** Of its buffers, as much as this share of the machine's memory: on small machines, those used first. */
  buffersShareMax: 1 / 16,
  /** Of its tables of groups, so much a slot: with groups of four, those of a full device and of some dead pages. */
  groupBytesPerSlot: 36,
  /** Carry blocks made at the start; a connection that stalls takes one. */
  carryBlocksPrepared: 16,
  /** What is to be left of the memory available at the start of a client. */
  clientSpareBytes: 32 * MiB,
  /** Accumulators of parity groups, open or on their way: a page frame each. */
  accumulators: 1024,
  /** Reads that may be left to a slow server at a time, and made from other pages instead. */
  hedgesMax: 256,
  /** Pages that may be fetched at a time to make others of their groups, whose XOR the client has: a frame each. */
  fetchesMax: 64,
  /** Writes that may be left to silent servers at a time, and made to others as well. */
  writeHedgesMax: 512,
  /** How often what is late is looked for, at most. */
  hedgeCheckMs: 10,
  /**
   * A read is slow, and a server that owes something silent, after so many times what the fastest server takes, within
   * these bounds.
   */
  hedgeLatencies: 8,
  hedgeMsMin: 50,
  hedgeMsMax: 500,
  /** Operations of parity servers (rebuild, re-protect, reclaim) that a client has under way at a time. */
  operationsMax: 64,
  /** Pages that these may fetch in a second to mend what a loss has left: 312 MiB. */
  recoveryPagesPerSecond: 80_000,
  /** After one that failed, none is begun for so long; where many groups wait for one, for a part of that. */
  operationRetryMs: 200,
  /** Pages that a client knows to be wrong, at a time; others are found again. */
  mismatchesMax: 1_024,
  /** A server that is away for so long is rebuilt from the others. */
  lostAfterMs: 1_000,
  /**
   * After a link ended or came back a client looks at all its groups: at once if there are no more than these, else
   * so many a tick, which take less than 10 ms.
   */
  groupsReviewedAtOnce: 4_096,
  groupsReviewedPerTick: 65_536,
  /** So many groups have their parity given up in a tick, and so many bare ones what is lost of them: milliseconds. */
  groupStepsPerTick: 4_096,
  /** Pages wait so long for room that no parity server can make; then so many groups a tick have theirs given up. */
  roomPatienceMs: 10_000,
  groupsGivenUpForRoom: 256,
  /** Frames with no live page in them, as a share of those with one, before they are reclaimed. */
  reclaimShare: 0.92,
  /** Memory servers known to one client at a time, dead ones that still are owed pages included. */
  memoryServersMax: 1024,
  /** Slots looked at in one tick for pages of servers that are gone, so that these can be forgotten. */
  lostSlotsPerTickMax: 65_536,
  /** Data pages in a parity group, at most: as many as a descriptor on the wire names. */
  groupMembersMax: 8,
  /** Bytes queued for one memory server before pages wait in their frames instead. */
  peerQueueBytesSoft: 2 * MiB,
  /** Blocks that all links together may queue bytes in, and their size. */
  peerBlocks: 512,
  peerBlockBytes: 64 * KiB,
  /** Blocks for answers to NBD clients: the longest answer beside ordinary ones and the unfilled ends of blocks. */
  nbdBlocks: 640,
  nbdBlockBytes: 64 * KiB,
  /** Pages that wait for a server with room are mentioned so often. */
  starvedNoticeMs: 5_000,
  /** Slots that one turn zeroes, for all requests together. */
  zeroSlotsPerTurn: 16_384,
  /** The line of NBD requests that found no room is kept to for so long after its first one changed … */
  nbdLineKeptMs: 300,
  /** … and then so long those who need less may pass, before it is kept to again. */
  nbdLinePassedMs: 1_700,
  /** What a request takes of that at least, and at most before the next one has its turn. */
  zeroSlotsMin: 64,
  zeroSlotsAtATime: 4_096,
  /** A client that does not do its part for so long, while others wait for what it holds, is disconnected. */
  nbdIdleUnderContentionMsMax: 30_000,
  /** Whether anybody is there still is asked of the system's tables once a connection is stalled for so long … */
  stalledMsBeforeLook: 1_000,
  /** … and then so often at most, for all of them, and after so many times what the last look took. */
  msBetweenLooks: 10,
  looksApart: 10,
  /** A client must have chosen an export within this time. */
  nbdNegotiationMsMax: 10_000,
  /** Extents in one answer to BLOCK_STATUS, slots looked at for it, and for all of one turn. */
  blockStatusExtentsMax: 1024,
  blockStatusSlotsMax: 262_144,
  blockStatusSlotsPerTurn: 262_144,
  /** Most bytes of an answer without data: BLOCK_STATUS with all its extents. */
  nbdPlainAnswerBytesMax: 16 * KiB,
  /** Bytes of refusals that one read from a socket may cause, all requests in it being wrong. */
  nbdInputAnswerBytes: 1 * MiB,
  /** A link with something outstanding that has been silent for so long is given up. */
  linkSilenceMsMax: 2_000,
  /** A link on which a request has waited for so long, whatever else is answered, is given up. */
  linkAnswerMsMax: 30_000,
  /** Most that one tick of the client counts for: while it did not run itself, no server was silent. */
  clientTickMsMax: 1_000,
  /** An idle link is asked for a sign of life so often. */
  linkPingMs: 1_000,
  linkConnectMsMax: 3_000,
  /** A server that was linked again is asked once more, after so long, for a list of what it holds. */
  linkListAgainMs: 90_000,
  /** How often the cores are told the time. */
  tickMs: 100,
  /**
   * A signal to end so soon after the first one is the same one: npm and npx pass on what the whole process group got.
   */
  sameSignalMs: 2_000,
  /** Peers named in a line of the log. */
  peersNamedMax: 8,
  /** What a node has still to say when it has ended is given so long to be taken. */
  lastWordsMsMax: 1_000,
  /** A connection that we end is given so long to take what is still queued. */
  finishMsMax: 3_000,
  linkRetryMsMin: 50,
  linkRetryMsMax: 2_000,
  /** Connections to an address refused for so long: the process that was there is gone. */
  refusedMeansDeadMs: 10_000,

  /** Connections to a memory server's data port that have said who they are. */
  dataConnectionsMax: 1024,
  /** Those that have not yet, beside them: one more ends the oldest. */
  dataHandshakesMax: 256,
  /** A connection to a data port must have said who it is within this time. */
  handshakeMsMax: 5_000,
  /** Bytes of answers queued on one data connection before its requests are left unread. */
  dataQueueBytesSoft: 1 * MiB,
  /** Frames that a memory server examines for one LIST. */
  listScanFramesMax: 65_536,
  /** Clients whose pages a memory server holds at a time. */
  clientsPerServerMax: 4096,
  /** Pages of a client that vanished are kept for so long. */
  clientGraceMs: 10 * 60_000,
  /** Most that one tick counts for: time in which the server itself did not run is held against nobody. */
  serverTickMsMax: 1_000,
  /** Frames of clients that are gone freed in one tick, so that a tick stays short. */
  reapFramesPerTickMax: 16_384,
  /** A data connection that has sent nothing for so long is closed; a live client pings far more often. */
  dataSilenceMsMax: 60_000,
  /** Blocks that hold answers to all clients, and their size. */
  dataBlocksMax: 4096,
  dataBlockBytes: 64 * KiB,
  /** With so many in use, a connection that has unsent answers gets no more for now. */
  dataBlocksSoft: 2048,
  /** Connections beyond dataConnectionsMax that are being told so. */
  dataRefusalsMax: 64,
  /** Largest store: 1 TiB of pages. */
  storeFramesMax: 2 ** 28,
  /**
   * Most address space that a memory server takes at a time; the system gives memory to what of it is written to. With
   * smaller chunks the collector, which counts them as garbage to come, would run over and over while a server fills.
   */
  storeChunkBytes: 1024 * MiB,
  /** Where the system refuses that, half as much is asked for, and so on down to this: Node needs some for itself. */
  storeChunkBytesMin: 64 * MiB,
  /** Refused that, a server makes do with what it has for so many looks at the memory. */
  storeRefusedLooks: 60,
  /** Unit in which a memory server lends memory. */
  lendUnitBytes: 4 * MiB,
  /** How often a server looks at the memory of its machine. */
  memoryLookMs: 1_000,
  /** One that took no more pages takes them again when so much more than the reserve has been available … */
  reserveMarginBytes: 64 * MiB,
  /** … for so long. */
  memoryCalmMs: 5_000,

  /**
   * Part of a parity server's frames that only COMPOSE may take, and at most so many: a full one could merge no groups
   * to get room. A store of less than parityReserveFrom frames keeps none.
   */
  parityReserveShare: 1 / 32,
  parityReserveMax: 256,
  parityReserveFrom: 128,
  /** Work frames of a parity server: pages on their way between servers. */
  parityWorkFrames: 512,
  /** Batches of readers that other work lets pass, when there are not enough of these for both. */
  parityPassedMax: 16,
  /** Links of a parity server, one for each pair of client and memory server that it moves pages for. */
  parityLinksMax: 512,
  /**
   * Blocks that these links together may queue bytes in (peerBlockBytes each): one for each link, since a PING takes
   * a block too, and a third of all for pages. Memory is taken by those that were used.
   */
  parityLinkBlocks: 768,
  /** A link to a memory server must stand within this time, or what waits for it fails. */
  parityLinkWaitMs: 1_000,
  /** After a failure to link, what needs that server fails at once for so long. */
  parityLinkRetryMs: 500,
  /** A link that nothing was asked of for so long is ended. */
  parityLinkIdleMs: 15_000,
  /** Entries of COMPOSE and REBUILD taken from one connection and not yet answered; entries of RECOVER. */
  parityJobsPerConnectionMax: 256,
  parityRecoversPerConnectionMax: 128,
  /** Entries of all connections: beyond it, a connection that is owed an answer is left unread. */
  parityJobsMax: 8_192,
  /** Memory servers that a parity server tells apart, those of all its clients together. */
  parityServersMax: 16_383,
  /** Those that one connection may name at a time: as many as a client knows. */
  parityServersPerConnectionMax: 1_024,
  /** Groups that the background scrub looks at in one tick, at most; and at a time when asked to be quick. */
  parityScrubPerTick: 1,
  parityScrubAtATime: 8,

  /** Bytes of log lines that wait for whoever reads them, on each of standard output and standard error. */
  logRingBytes: 256 * KiB,
  /** Written at a time: lines that a pipe takes whole or not at all (PIPE_BUF). */
  logPieceBytes: 4 * KiB,
  /** A descriptor that had no room is tried again after so long; one that failed. */
  logRetryMs: 50,
  logFailedRetryMs: 1_000,
  /** A process that ends in order gives its last lines so long, and looks so often whether they are written. */
  logFinishMsMax: 500,
  logFinishLookMs: 5,
  /** Lost pages that are named one by one; of more it is said how many, in lines at least so far apart … */
  lossesNamed: 4,
  lossNoticeMsMin: 1_000,
  /** … and ever farther while it goes on, up to this. */
  lossNoticeMsMax: 10_000,

  /** Device size: at least a page, at most what a page id and the tables of slots can address. */
  deviceBytesMin: PAGE_BYTES,
  deviceBytesMax: 2 ** 31 * PAGE_BYTES,
} as const;

invariant(
  limits.linkListAgainMs > limits.dataSilenceMsMax,
  "by the second list the server has ended earlier connections",
);
invariant(
  limits.parityServersPerConnectionMax >= limits.memoryServersMax,
  "a client can name all servers that it knows",
);
invariant(
  limits.parityLinkBlocks * 2 >= limits.parityLinksMax * 3,
  "each link of a parity server has a block, and there are some for pages",
);
invariant(limits.sendBlockBytes >= limits.receiveBytesMax, "a stalled read fits a block");
invariant(
  limits.clientFrames * PAGE_BYTES >= limits.nbdRequestBytesMax + limits.clientFramesSoft * PAGE_BYTES,
  "the longest request fits beside ordinary ones",
);
