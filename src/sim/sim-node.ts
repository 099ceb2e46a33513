import type { Capacity } from "../../proto/peer/index.ts";
import type { ClientTable } from "../server/client-table.ts";
import type { FrameStore } from "../server/frame-store.ts";
import type { Listener } from "./network.ts";
import type { End } from "./wire.ts";

/** What a server holds, as checkers see it. */
export interface PageHolder {
  snapshot(): { frames: Capacity };
  visitPages(visit: (identity: string, pageId: number, slot: number, frame: number) => void): void;
  frameOf(identity: string, pageId: number): number;
  readFrame(frame: number, into: Uint8Array, at: number): void;
  readonly store: FrameStore;
  readonly clients: ClientTable;
  check(): void;
  /** A parity server: what it knows of a group; false if nothing. */
  visitMembers?(
    client: string,
    group: number,
    visit: (pageId: number, checksum: number, server: string) => void,
  ): boolean;
}

/** One life of a simulated server of either kind. */
export interface SimNode extends Listener {
  readonly role: "server" | "parity";
  readonly address: string;
  readonly identity: string;
  readonly options: { readonly turnMs: number };
  readonly core: PageHolder;
  /** Blocks with bytes to be sent; blocks with bytes that a core would not take yet. */
  readonly queuedBlocks: number;
  readonly carriedBlocks: number;
  /** What it counted that never happens; that never happens while nobody changes bytes. */
  readonly faultsFound: Record<string, number>;
  readonly wrongFound: Record<string, number>;
  /** True while it makes pages of others. */
  readonly isAtWork: boolean;
  /** Its ends of the connections that were made to it. */
  readonly ends: End[];
  /** Dies at once; `silently`: no peer is told, as when a machine loses its power. */
  crash(silently: boolean): void;
}
