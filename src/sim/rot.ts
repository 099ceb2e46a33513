import { PAGE_BYTES } from "../base/page.ts";
import type { Prng } from "../base/prng.ts";
import { newPageMeta } from "../server/page-meta.ts";
import type { SimNode } from "./sim-node.ts";

/** A page of which a server has a wrong byte. */
interface RottenPage {
  readonly node: SimNode;
  readonly client: string;
  readonly pageId: number;
  readonly at: number;
  readonly byte: number;
  /** What it was. */
  readonly right: number;
}

/** Bytes that change in the memory of servers, in one page at a time: its group can make up for that. */
export class Rot {
  readonly #prng: Prng;
  readonly #bytes = new Uint8Array(PAGE_BYTES);
  #page: RottenPage | undefined;
  /** Pages that went bad. */
  count = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** The page that is wrong now, in words; undefined if none is. */
  get where(): string | undefined {
    const page = this.#page;
    if (page === undefined || !this.#isStillWrong(page)) return undefined;
    return `page ${page.pageId} at "${page.node.address}"`;
  }

  #isStillWrong({ node, client, pageId, at, byte }: RottenPage): boolean {
    const frame = node.process.alive ? node.core.frameOf(client, pageId) : -1;
    if (frame >= 0) node.core.readFrame(frame, this.#bytes, 0);
    return frame >= 0 && this.#bytes[at] === byte;
  }

  /** The byte is as it was again, if it is still there. */
  heal(): void {
    const page = this.#page;
    if (page === undefined || !this.#isStillWrong(page)) return;
    this.#put(page, page.right);
  }

  /** True if what this server has as this page is wrong. */
  has(server: string | undefined, client: string, pageId: number): boolean {
    const page = this.#page;
    if (page?.node.identity !== server || page?.client !== client || page.pageId !== pageId) return false;
    return this.#isStillWrong(page);
  }

  /** Changes a byte of some page of the server; what was wrong before has been made good. */
  strike(node: SimNode): void {
    const pages: [string, number, number][] = [];
    node.core.visitPages((client, pageId, _slot, frame) => pages.push([client, pageId, frame]));
    const drawn = pages[this.#prng.below(Math.max(1, pages.length))];
    if (drawn === undefined) return;
    const [client, pageId, frame] = drawn;
    node.core.readFrame(frame, this.#bytes, 0);
    const at = this.#prng.below(PAGE_BYTES);
    const right = this.#bytes[at]!;
    const byte = right ^ (1 << this.#prng.below(8));
    const page = { node, client, pageId, at, byte, right };
    this.#put(page, byte);
    this.#page = page;
    this.count += 1;
  }

  /** Changes the byte where it is. */
  #put({ node, client, pageId, at }: RottenPage, byte: number): void {
    const { core } = node;
    const frame = core.frameOf(client, pageId);
    const meta = newPageMeta();
    core.store.describe(frame, core.store.ownerOf(frame), meta);
    core.readFrame(frame, this.#bytes, 0);
    this.#bytes[at] = byte;
    core.store.rewrite(frame, meta, this.#bytes, 0);
  }
}
