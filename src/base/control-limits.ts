/** Every bound of the control plane, in one place. Sizes are bytes, times milliseconds. */
export const controlLimits = {
  /** Most nodes a table holds, this one included. */
  nodesMax: 256,
  /** Nodes that left and are still told about, beyond the live ones. */
  leftNodesMax: 32,
  /** Identities remembered as gone, so that late gossip does not bring them back. */
  tombstonesMax: 1024,
  /** Nodes that were forgotten and are still looked for now and then. */
  forgottenNodesMax: 64,
  nameCharsMax: 63, // as many as a HELLO of the page protocol carries
  addressCharsMax: 262,
  /** Largest control message: a full table of the largest records fits (asserted below). */
  messageBytesMax: 1024 * 1024,
  recordBytesMax: 2560,
  /** Servers that a client names as suspect. */
  suspectsMax: 8,
  /** What may wait to be sent to one peer before it is dropped as one that does not read. */
  sendBufferBytesMax: 2 * 1024 * 1024,
  /** Pieces that a message may come in; nodes send each in one. */
  fragmentsMax: 16,
  /** Reads from the socket that a piece may come in. */
  readsPerMessageMax: 4096,
  /** Connections that have said who they are. */
  connectionsMax: 256,
  /** Those that have not, beside them, and plain HTTP: one more ends the oldest. */
  strangersMax: 256,
  /** WebSockets among the strangers, which may each hold a message: one more ends the oldest. */
  handshakesMax: 32,
  httpHeaderBytesMax: 8 * 1024,
  /** Addresses that gossip keeps a connection or a backoff for. */
  linksMax: 320,
  requestsPerConnectionMax: 64,
  watchEveryMsMin: 50,
  watchEveryMsMax: 60_000,
} as const;

if (
  (controlLimits.nodesMax + controlLimits.leftNodesMax) * controlLimits.recordBytesMax >
  controlLimits.messageBytesMax
) {
  throw new Error("a full table does not fit into a control message");
}

/** The times of the control plane; a test gives shorter ones. All milliseconds. */
export interface ControlTiming {
  /** Between two heartbeats of a node. */
  readonly heartbeatMs: number;
  /** Without a newer heartbeat for this long a node is suspect. */
  readonly suspectMs: number;
  /** ... it is taken for down. */
  readonly downMs: number;
  /** ... it is forgotten. */
  readonly removeMs: number;
  /** How long a node's leaving is passed on. */
  readonly leftGossipMs: number;
  /** How long a gone identity is remembered. */
  readonly tombstoneMs: number;
  /** A new connection must have finished its handshake by then. */
  readonly handshakeMs: number;
  readonly connectMs: number;
  /** An answer must have come by then. */
  readonly answerMs: number;
  readonly pingMs: number;
  /** A connection that shows no life for this long ends. */
  readonly idleMs: number;
  readonly backoffMsMax: number;
  /** How long leaving may take to tell the others. */
  readonly leaveMs: number;
}

export const controlTiming: ControlTiming = {
  heartbeatMs: 1_000,
  suspectMs: 4_000,
  downMs: 10_000,
  removeMs: 60_000,
  leftGossipMs: 10_000,
  tombstoneMs: 600_000,
  handshakeMs: 5_000,
  connectMs: 3_000,
  answerMs: 3_000,
  pingMs: 5_000,
  idleMs: 16_000,
  backoffMsMax: 15_000,
  leaveMs: 1_500,
};
