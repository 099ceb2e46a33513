/** What a node does in the cluster. */
export type NodeRole = "server" | "parity" | "client";

/** What a node says of itself; `left` is its last word. */
export type SelfState = "up" | "draining" | "left";

/** 4 KiB frames of a node's store; all 0 for a client. */
export interface FrameCounts {
  readonly used: number;
  readonly free: number;
  readonly limit: number;
}

export type RedundancyName = "none" | "mirror" | "parity";

/** What a client has exchanged with the cluster since it started. */
export interface TrafficFigures {
  /** Pages that servers have taken; a second copy or a parity page does not count. */
  readonly pagesOut: number;
  readonly pagesIn: number;
  /** Messages of the page protocol that were sent, those that ask for pages included. */
  readonly messagesSent: number;
  /** Messages sent that ask for pages. */
  readonly messagesAsking: number;
  /** Bytes of all messages sent. */
  readonly bytesSent: number;
}

/** How far a client is with what the loss of a server left to be done; pages. All 0 when it is idle. */
export interface RecoveryFigures {
  /** rebuilding: pages that were lost with a server; reprotecting: pages that lost their redundancy. */
  readonly state: "idle" | "rebuilding" | "reprotecting";
  readonly done: number;
  readonly total: number;
}

/** A parity server's checks of its groups: each member is fetched and compared with the parity. */
export interface ScrubFigures {
  readonly state: "idle" | "running";
  /** Frames of the store that the pass has been through, and all of them. */
  readonly done: number;
  readonly total: number;
  /** Since the start: groups compared, groups that could not be compared, and groups found wrong. */
  readonly scrubbed: number;
  readonly skipped: number;
  /** Of those that could not be compared: for want of a memory server that answers. */
  readonly unreachable: number;
  readonly mismatches: number;
  /** Passes finished since the start. */
  readonly passes: number;
}

/** A client's figures, as `clients[]` of `nswap status --json` shows them. */
export interface ClientFigures {
  readonly name: string;
  readonly redundancy: RedundancyName;
  readonly sizeBytes: number;
  readonly slots: { readonly mapped: number; readonly sameFilled: number; readonly onDisk: number };
  readonly pages: {
    readonly live: number;
    readonly dead: number;
    readonly unprotected: number;
    readonly lost: number;
  };
  readonly requests: { readonly inFlight: number; readonly errors: number };
  readonly traffic: TrafficFigures;
  readonly recovery: RecoveryFigures;
  /** Servers that it is linked to at present. */
  readonly links: { readonly servers: number; readonly parity: number };
  /** Names of servers that gave it bytes which are not what was written, or did not have them, since they started. */
  readonly suspects: readonly string[];
  /** Frames of memory servers and of parity servers that its device takes when full and much overwritten. */
  readonly roomNeeded: { readonly servers: number; readonly parity: number };
}

/** One node as it describes itself; travels by gossip. */
export interface NodeRecord {
  /** 32 hexadecimal digits, random for each process. */
  readonly identity: string;
  readonly name: string;
  readonly role: NodeRole;
  /** Start of the process, milliseconds since the epoch: tells a restarted node from its predecessor. */
  readonly generation: number;
  /** Grows by one each heartbeat; of two records of an identity the one with the higher heartbeat is newer. */
  readonly heartbeat: number;
  readonly pid: number;
  /** `host:port` of the data port, null for a node without one. */
  readonly data: string | null;
  /** `host:port` of the control port. */
  readonly control: string;
  readonly state: SelfState;
  readonly frames: FrameCounts;
  readonly client?: ClientFigures;
  /** Of a parity server. */
  readonly scrub?: ScrubFigures;
}
