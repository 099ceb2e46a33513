import type { HostPort } from "../base/host-port.ts";
import type { ClusterKey } from "../io/cluster-key.ts";
import { ControlClient } from "../io/control/control-client.ts";
import { ControlError } from "../io/control/control-error.ts";
import { parseStatusDocument, type StatusDocument } from "../membership/status-document.ts";

/** Asks a node how it sees the cluster; every answer is checked. */
export class StatusClient {
  private constructor(private readonly client: ControlClient) {}

  /** Connects and proves the key both ways. @throws ControlError as `ControlClient.connect` */
  static async connect(address: HostPort, key: ClusterKey | null): Promise<StatusClient> {
    return new StatusClient(await ControlClient.connect(address, { key, purpose: "operator" }));
  }

  /** Resolves with the reason once the connection is over. */
  get whenClosed(): Promise<ControlError> {
    return this.client.whenClosed;
  }

  /** @throws ControlError TIMEOUT, CLOSED, or PROTOCOL for an answer that is no status document */
  async status(): Promise<StatusDocument> {
    return read(await this.client.status());
  }

  /** Calls `update` at once and then every `everyMs`, until the connection ends. */
  subscribe(everyMs: number, update: (document: StatusDocument) => void): void {
    this.client.subscribe(everyMs, (document) => update(read(document)));
  }

  /** Has a parity server check all its groups, from now on; false if the node is none. @throws ControlError */
  scrub(): Promise<boolean> {
    return this.client.scrub();
  }

  close(): void {
    this.client.close();
  }
}

function read(document: unknown): StatusDocument {
  try {
    return parseStatusDocument(document);
  } catch (cause) {
    throw new ControlError("PROTOCOL", `not a status document: ${(cause as Error).message}`, cause);
  }
}
