import { describe, expect, it } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { PageIndex } from "../../../src/redundancy/page-index.ts";

const MEMBERS = 20_000;

/** An index over members 0, 1, 2 … that counts the ids that it looks at. */
class CountedIndex {
  readonly ids = new Float64Array(MEMBERS);
  readonly index: PageIndex;
  looks = 0;

  constructor() {
    const pageId = new Proxy(this.ids, {
      get: (target, key) => {
        this.looks += 1;
        return Reflect.get(target, key) as unknown;
      },
    });
    this.index = new PageIndex({ pageId });
    this.index.grow(MEMBERS);
  }

  add(member: number, pageId: number): void {
    this.ids[member] = pageId;
    this.index.add(member);
  }
}

describe("the index of pages by their ids", () => {
  it("knows each member that was added, moved and not removed", () => {
    const prng = new Prng(7);
    const { index, ids } = new CountedIndex();
    const where = new Map<number, number>();
    const free = Array.from({ length: MEMBERS }, (_, i) => i);
    let id = 2 ** 32 - 30_000;
    const someId = () => [...where.keys()][prng.below(where.size)]!;
    for (let step = 0; step < 9_000; step += 1) {
      id += 1 + prng.below(5);
      const member = free.pop()!;
      ids[member] = id;
      index.add(member);
      where.set(id, member);
      if (step % 7 === 3) {
        const gone = someId();
        index.remove(where.get(gone)!);
        free.unshift(where.get(gone)!);
        where.delete(gone);
        expect(index.find(gone)).toBe(-1);
      }
      if (step % 11 === 5) {
        const moved = someId();
        const to = free.pop()!;
        ids[to] = moved;
        index.move(where.get(moved)!, to);
        free.unshift(where.get(moved)!);
        where.set(moved, to);
      }
    }
    for (const [pageId, member] of where) expect(index.find(pageId)).toBe(member);
    expect(index.find(id + 1)).toBe(-1);
  });

  it.each([1, 5, 16, 4_096, 65_536, 2 ** 32])(
    "finds one among thousands in a few steps, ids %i apart",
    (apart) => {
      const counted = new CountedIndex();
      for (let i = 0; i < MEMBERS; i += 1) counted.add(i, 1 + i * apart);
      counted.looks = 0;
      for (let i = 0; i < MEMBERS; i += 1) expect(counted.index.find(1 + i * apart)).toBe(i);
      expect(counted.looks).toBeLessThan(MEMBERS * 4);
    },
  );
});
