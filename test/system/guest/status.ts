/** What `nswap status --json` says of one node; only what the harness uses. Frames are pages of 4 KiB. */
export interface NodeStatus {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly pid: number;
  readonly frames: { readonly used: number; readonly free: number; readonly limit: number };
}

export interface ClientStatus {
  readonly name: string;
  readonly pages: { readonly live: number; readonly unprotected: number; readonly lost: number };
  readonly requests: { readonly errors: number };
  /** Pages that a loss left to be worked on, and how many are done. */
  readonly recovery: { readonly state: string; readonly done: number; readonly total: number };
  /** What was exchanged with the cluster; `messagesAsking` of the messages ask for pages. */
  readonly traffic: {
    readonly pagesOut: number;
    readonly pagesIn: number;
    readonly messagesSent: number;
    readonly messagesAsking: number;
    readonly bytesSent: number;
  };
}

export interface ClusterStatus {
  readonly nodes: readonly NodeStatus[];
  readonly clients: readonly ClientStatus[];
}

/** Reads the status; throws with the text when it is not what docs promise. */
export function parseStatus(text: string): ClusterStatus {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`nswap status --json printed no JSON: ${text.slice(0, 200)}`, { cause });
  }
  const status = value as Partial<ClusterStatus>;
  if (!Array.isArray(status.nodes) || !Array.isArray(status.clients)) {
    throw new Error(`nswap status --json has no nodes or no clients: ${text.slice(0, 200)}`);
  }
  return status as ClusterStatus;
}

/** The memory servers, by name: of several processes that had a name the one that is up, else the last one listed. */
export function serversOf(status: ClusterStatus): NodeStatus[] {
  return storesOf(status, "server");
}

/** The parity servers, by name. */
export function parityServersOf(status: ClusterStatus): NodeStatus[] {
  return storesOf(status, "parity");
}

function storesOf(status: ClusterStatus, role: string): NodeStatus[] {
  const byName = new Map<string, NodeStatus>();
  for (const node of status.nodes) {
    if (node.role === role && byName.get(node.name)?.state !== "up") byName.set(node.name, node);
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** Pages of all clients that the loss of one server would take away. */
export function unprotectedPages(status: ClusterStatus): number {
  return status.clients.reduce((sum, client) => sum + client.pages.unprotected, 0);
}

/** Keeps the most pages that each memory server was seen to hold. */
export class PeakPages {
  readonly byServer = new Map<string, number>();

  see(status: ClusterStatus): void {
    for (const server of serversOf(status)) {
      this.byServer.set(server.name, Math.max(this.byServer.get(server.name) ?? 0, server.frames.used));
    }
  }
}
