/** What a memory server counts since its start. Pages unless another unit is named. */
export interface ServerCounters {
  /** Pages taken, repeated ones included. */
  puts: number;
  /** Pages sent. */
  gets: number;
  /** Pages asked for and not held. */
  missing: number;
  /** Pages freed by INVALIDATE. */
  invalidates: number;
  /** Page ids of an INVALIDATE that were not held. */
  invalidatesUnknown: number;
  /** PUTPAGE frames not taken whole for want of room. */
  fullRefusals: number;
  /** Pages freed because their client left or did not come back. */
  reaped: number;
  /** Connections closed because the peer broke the protocol or could not prove the key. */
  protocolErrors: number;
  /** Connections closed with another ERROR. */
  connectionsRefused: number;
  /** Connections ever made. */
  connectionsMade: number;
}

export const newServerCounters = (): ServerCounters => ({
  puts: 0,
  gets: 0,
  missing: 0,
  invalidates: 0,
  invalidatesUnknown: 0,
  fullRefusals: 0,
  reaped: 0,
  protocolErrors: 0,
  connectionsRefused: 0,
  connectionsMade: 0,
});
