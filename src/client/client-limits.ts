import { limits } from "../base/limits.ts";

/** The bounds of one client; a simulation runs with small ones. Their meanings and units are in base/limits.ts. */
export interface ClientLimits {
  readonly clientFrames: number;
  readonly clientFramesSoft: number;
  readonly accumulators: number;
  readonly hedgesMax: number;
  readonly writeHedgesMax: number;
  readonly operationsMax: number;
  readonly lostAfterMs: number;
  readonly recoveryPagesPerSecond: number;
  readonly peerQueueBytesSoft: number;
  readonly nbdBlockBytes: number;
  readonly nbdRequestBytesMax: number;
  readonly nbdRequestsInFlightMax: number;
  readonly nbdInputAnswerBytes: number;
  readonly zeroSlotsPerTurn: number;
  readonly zeroSlotsMin: number;
  readonly zeroSlotsAtATime: number;
  readonly blockStatusSlotsMax: number;
  readonly blockStatusSlotsPerTurn: number;
}

/** The bounds in production. */
export const clientLimits: ClientLimits = limits;
