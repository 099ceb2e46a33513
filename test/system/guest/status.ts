/** What `nswap status --json` says of one node; only what the harness uses. Frames are pages of 4 KiB. */
export interface NodeStatus {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly frames: { readonly used: number; readonly free: number; readonly limit: number };
}

export interface ClientStatus {
  readonly name: string;
  readonly pages: { readonly lost: number };
  readonly requests: { readonly errors: number };
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

/** The memory servers, by name. */
export function serversOf(status: ClusterStatus): NodeStatus[] {
  return status.nodes.filter((node) => node.role === "server").sort((a, b) => a.name.localeCompare(b.name));
}

/** Keeps the most pages that each server was seen to hold. */
export class PeakPages {
  readonly byServer = new Map<string, number>();

  see(status: ClusterStatus): void {
    for (const server of serversOf(status)) {
      this.byServer.set(server.name, Math.max(this.byServer.get(server.name) ?? 0, server.frames.used));
    }
  }
}
