import { describe, expect, it } from "vitest";
import { newPageMeta } from "../../../src/server/page-meta.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

const CLIENT = "63".repeat(16);
const SLOT = 5;

/** A mirror over three memory servers with one page, which is on two of them. */
class Mirror extends TestClient {
  readonly servers = new Map(["a", "b", "c"].map((name) => [name, memoryServer(name)]));

  constructor() {
    super({ redundancy: "mirror" });
    for (const server of this.servers.values()) this.join(server);
    this.write(SLOT, pageOf(SLOT));
    this.pass(1_000);
  }

  pass(ms: number): void {
    for (let i = 0; i < ms / 100; i += 1) {
      this.pump();
      this.nowMs += 100;
      this.core.tick(this.nowMs);
    }
    this.pump();
  }

  get #group(): number {
    const groups = this.core.redundancy.groups!;
    return groups.groupOf(groups.liveOf(SLOT));
  }

  /** The names of the servers of the page and of its copy. */
  get places(): string[] {
    const { core } = this;
    const { parityHolder } = core.redundancy.groups!;
    return [core.slots.holder(SLOT), parityHolder[this.#group]!].map((holder) => core.table.at(holder).name);
  }

  /** How many pages the servers hold. */
  get held(): number {
    return [...this.servers.values()].reduce((sum, server) => sum + server.store.held, 0);
  }

  /** One bit flips in the page, or in its copy. */
  flip(which: "page" | "copy"): void {
    const isPage = which === "page";
    const { store } = this.servers.get(this.places[isPage ? 0 : 1]!)!;
    const groups = this.core.redundancy.groups!;
    const id = isPage ? this.core.slots.pageId(SLOT) : groups.parityId[this.#group]!;
    const frame = this.servers.get(this.places[isPage ? 0 : 1]!)!.frameOf(CLIENT, id);
    const meta = newPageMeta();
    store.describe(frame, store.ownerOf(frame), meta);
    const page = pageOf(SLOT);
    page[17]! ^= 1;
    store.rewrite(frame, meta, page, 0);
  }

  kill(name: string): void {
    const { identity } = this.core.table.holders.find((holder) => holder.name === name)!;
    this.cut(this.wires.find((wire) => wire.link.peer?.name === name)!);
    this.core.serverLost(identity, "gone");
  }

  /** What a read of the page gives. */
  get page(): Uint8Array | undefined {
    const outcome = this.read(SLOT);
    this.pass(1_000);
    return outcome.bytes;
  }
}

describe("a page of a mirror that has gone bad in the memory of a server", () => {
  it("stayed bad when a read had found that out, and was lost with the server of the other one", () => {
    const mirror = new Mirror();
    mirror.flip("page");
    const good = mirror.places[1]!;
    expect(mirror.page).toEqual(pageOf(SLOT));
    mirror.pass(5_000);
    expect(mirror.core.pages).toMatchObject({ live: 1, unprotected: 0 });
    expect(mirror.held).toBe(2);
    mirror.kill(good);
    expect(mirror.page).toEqual(pageOf(SLOT));
    expect(mirror.core.lostPages).toBe(0);
  });

  it("is made anew where it is a copy, too", () => {
    const mirror = new Mirror();
    mirror.flip("copy");
    const [holder, bad] = mirror.places;
    // Its server stops answering, so that the copy is asked for.
    const silent = mirror.wires.find((wire) => wire.link.peer?.name === holder)!;
    silent.toServer = false;
    const outcome = mirror.read(SLOT);
    for (let i = 0; i < 100 && mirror.core.counters.checksumErrors === 0; i += 1) {
      mirror.nowMs += 10;
      mirror.pump();
    }
    expect(mirror.core.pages.unprotected).toBe(1);
    silent.toServer = true;
    mirror.pass(5_000);
    expect(outcome.bytes).toEqual(pageOf(SLOT));
    expect(mirror.places[0]).toBe(holder);
    expect(mirror.core.pages).toMatchObject({ live: 1, unprotected: 0 });
    expect(mirror.held).toBe(2);
    mirror.kill(holder!);
    expect(mirror.page).toEqual(pageOf(SLOT));
    expect(bad).toBeDefined();
  });

  it("counts as unprotected until then", () => {
    const mirror = new Mirror();
    mirror.flip("page");
    const [bad, good] = mirror.places;
    for (const server of mirror.core.table.servers) if (server.name !== good) server.full = true;
    const outcome = mirror.read(SLOT);
    mirror.pump();
    expect(outcome.bytes).toEqual(pageOf(SLOT));
    expect(mirror.core.pages.unprotected).toBe(1);
    expect(mirror.places).toEqual([bad, good]);
  });
});
