import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { FrameMemory } from "../../../src/server/frame-memory.ts";
import { FrameStore, type PageMeta } from "../../../src/server/frame-store.ts";
import { pageOf } from "./test-client.ts";

const PAGE = 4096;
afterEach(() => vi.unstubAllGlobals());
const newStore = (capacityFrames: number, ownersMax = 8): FrameStore =>
  new FrameStore({ capacityFrames, ownersMax, hashSeed: 77, chunkBytes: 4 * PAGE });

/** From now on the system refuses arrays of more than `most` bytes; `sizes` are those it was asked for. */
function refusing(most: number): { most: number; sizes: number[] } {
  const asked = { most, sizes: [] as number[] };
  class Limited extends Uint8Array {
    constructor(bytes: number) {
      asked.sizes.push(bytes);
      if (bytes > asked.most) throw new RangeError("Array buffer allocation failed");
      super(bytes);
    }
    static get [Symbol.species]() {
      return Uint8Array;
    }
  }
  vi.stubGlobal("Uint8Array", Limited);
  return asked;
}

const metaOf = (id: number, version: number): PageMeta => ({
  idLow: id >>> 0,
  idHigh: Math.floor(id / 2 ** 32),
  slotLow: (id * 3) >>> 0,
  slotHigh: version,
  checksum: (id ^ version) >>> 0,
});

function put(store: FrameStore, owner: number, id: number, version: number): boolean {
  const page = pageOf(id, version);
  const meta = metaOf(id, version);
  const held = store.find(owner, meta.idLow, meta.idHigh);
  if (held >= 0 && version % 2 === 0) {
    store.rewrite(held, meta, page, 0);
    return true;
  }
  const frame = store.take();
  if (frame < 0) return false;
  store.write(frame, 0, page, 0, 1000);
  store.write(frame, 1000, page, 1000, PAGE);
  store.publish(frame, owner, meta);
  return true;
}

function contentOf(store: FrameStore, owner: number, id: number): Uint8Array | undefined {
  const frame = store.find(owner, id >>> 0, Math.floor(id / 2 ** 32));
  if (frame < 0) return undefined;
  const into = new Uint8Array(PAGE + 8);
  store.read(frame, 1, into, 8);
  return into.subarray(8);
}

describe("FrameStore", () => {
  it("behaves like a map from (owner, id) to page, and its books balance after every step", () => {
    const ids = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom(2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1));
    const owner = fc.integer({ min: 0, max: 2 });
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(fc.constant("put"), owner, ids, fc.nat(50)) },
      { weight: 3, arbitrary: fc.tuple(fc.constant("drop"), owner, ids, fc.constant(0)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant("reap"), owner, fc.nat(5), fc.constant(0)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant("abandon"), owner, ids, fc.constant(0)) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 20 }), (steps, capacity) => {
        const store = newStore(capacity);
        const model = new Map<string, number>();
        for (const [what, who, id, version] of steps) {
          const key = `${who}/${id}`;
          if (what === "put") {
            const room = model.size < capacity || (model.has(key) && version % 2 === 0);
            expect(put(store, who, id, version)).toBe(room);
            if (room) model.set(key, version);
          } else if (what === "drop") {
            const frame = store.find(who, id >>> 0, Math.floor(id / 2 ** 32));
            expect(frame >= 0).toBe(model.delete(key));
            if (frame >= 0) store.drop(frame);
          } else if (what === "reap") {
            const own = [...model.keys()].filter((k) => k.startsWith(`${who}/`));
            expect(store.dropSome(who, id)).toBe(Math.min(id, own.length));
            for (const k of own) {
              const gone = contentOf(store, who, Number(k.split("/")[1])) === undefined;
              if (gone) model.delete(k);
            }
          } else {
            const frame = store.take();
            if (frame >= 0) {
              expect(store.used).toBe(model.size + 1);
              store.giveBack(frame);
            }
          }
          store.check();
          expect(store.used).toBe(model.size);
          expect(store.free).toBe(capacity - model.size);
          expect(store.held).toBe(model.size);
        }
        for (const [key, version] of model) {
          const [who, id] = key.split("/").map(Number) as [number, number];
          expect(Buffer.compare(contentOf(store, who, id)!, pageOf(id, version))).toBe(0);
          const meta = metaOf(0, 0);
          expect(store.describe(store.find(who, id >>> 0, Math.floor(id / 2 ** 32)), who, meta)).toBe(true);
          expect(meta).toEqual(metaOf(id, version));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("finds every page of thousands while others go, whatever the pattern of their ids", () => {
    for (const stride of [1, 2 ** 20, 2 ** 32, 2 ** 32 + 1, 12_345_677]) {
      const store = new FrameStore({ capacityFrames: 3000, ownersMax: 2, hashSeed: stride });
      const has = (i: number): boolean => {
        const id = i * stride;
        return store.find(1, id >>> 0, Math.floor(id / 2 ** 32)) >= 0;
      };
      for (let i = 0; i < 3000; i += 1) {
        const frame = store.take();
        store.publish(frame, 1, metaOf(i * stride, 0));
      }
      expect(store.take()).toBe(-1);
      for (let i = 0; i < 3000; i += 3) {
        const id = i * stride;
        store.drop(store.find(1, id >>> 0, Math.floor(id / 2 ** 32)));
      }
      for (let i = 0; i < 3000; i += 1) expect(has(i)).toBe(i % 3 !== 0);
      store.check();
    }
  });

  it("begins anew with its frames in order once it is empty, whatever the order in which they were freed", () => {
    const store = newStore(8);
    const fill = (): number[] =>
      Array.from({ length: 8 }, (_, i) => {
        const frame = store.take();
        store.publish(frame, 0, metaOf(i, 0));
        return frame;
      });
    fill();
    for (const i of [3, 0, 6, 1, 7, 2, 5]) store.drop(store.find(0, i, 0));
    expect([store.scanEnd, store.touched]).toEqual([8, 8]);
    const taken = store.take();
    store.drop(store.find(0, 4, 0));
    expect(store.scanEnd).toBe(8);
    store.giveBack(taken);
    store.check();
    expect([store.scanEnd, store.touched]).toEqual([0, 8]);
    expect(fill()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(store.take()).toBe(-1);
    store.check();
  });

  it("takes the first chunk at once and others when needed, the last one cut to the limit", () => {
    const memory = new FrameMemory(10, 4 * PAGE);
    const backed = [memory.backed];
    while (memory.grow()) backed.push(memory.backed);
    expect(backed).toEqual([4, 8, 10]);
    memory.write(9, 0, pageOf(9), 0, PAGE);
    const into = new Uint8Array(PAGE);
    memory.read(9, 1, into, 0);
    expect(Buffer.compare(into, pageOf(9))).toBe(0);
  });

  it("says so when the system refuses a chunk", () => {
    const memory = new FrameMemory(2 ** 50, 2 ** 62);
    expect(memory.grow()).toBe(false);
    expect(memory.backed).toBe(0);
  });

  it("takes smaller chunks where the system refuses large ones, and none larger again", () => {
    const asked = refusing(8 * PAGE);
    const memory = new FrameMemory(30, 16 * PAGE, 2 * PAGE);
    expect(memory.backed).toBe(8);
    asked.most = 2 * PAGE;
    expect(memory.grow()).toBe(true);
    asked.most = 100 * PAGE;
    while (memory.grow());
    vi.unstubAllGlobals();
    expect(asked.sizes.map((bytes) => bytes / PAGE)).toEqual([16, 8, 8, 4, 2, ...new Array(10).fill(2)]);
    expect([0, 7, 8, 9, 29].map((frame) => memory.neighbours(frame))).toEqual([8, 1, 2, 1, 1]);
    for (let frame = 0; frame < 30; frame += 1) memory.write(frame, 0, pageOf(frame), 0, PAGE);
    const into = new Uint8Array(PAGE);
    for (let frame = 0; frame < 30; frame += 1) {
      memory.read(frame, 1, into, 0);
      expect(Buffer.compare(into, pageOf(frame))).toBe(0);
    }
  });

  it("does not tell of frames that the system has refused memory for, and asks again after a while", () => {
    const asked = refusing(4 * PAGE);
    const store = newStore(8);
    asked.most = 0;
    const frames = Array.from({ length: 4 }, () => store.take());
    expect([store.refused, store.free]).toEqual([false, 4]);
    expect([store.take(), store.refused, store.free, store.limit]).toEqual([-1, true, 0, 4]);
    const before = asked.sizes.length;
    for (let i = 1; i < limits.storeRefusedLooks; i += 1) store.lend(8);
    store.giveBack(frames[3]!);
    expect([store.take(), store.take(), asked.sizes.length]).toEqual([3, -1, before]);
    asked.most = 4 * PAGE;
    store.lend(8);
    expect([store.refused, store.take(), store.free]).toEqual([false, 4, 3]);
    vi.unstubAllGlobals();
    store.check();
  });

  it("costs at most 5% over the pages at full load, all tables included, at every size", () => {
    for (const capacity of [4096, 3 * 2 ** 14, 3 * 2 ** 14 + 1, 2 ** 18, 786_433, 2 ** 20]) {
      const store = new FrameStore({ capacityFrames: capacity, ownersMax: 4096, hashSeed: 1 });
      expect(store.overheadBytes / (capacity * PAGE)).toBeLessThan(0.05);
      // The worst case beyond a small store: 8/3 cells of 8 bytes and a record of 32 bytes a frame.
      if (capacity > 2 ** 16) expect(store.overheadBytes / (capacity * PAGE)).toBeLessThan(0.0131);
    }
  });

  it("refuses a capacity that it cannot have", () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, 2 ** 28 + 1]) {
      expect(() => newStore(capacity)).toThrow(/accepted is 1 to 268435456/);
    }
  });

  it("asserts that a frame is written only while taken, and dropped or read only while held", () => {
    const store = newStore(4);
    put(store, 0, 5, 1);
    const held = store.find(0, 5, 0);
    expect(() => store.write(held, 0, new Uint8Array(8), 0, 8)).toThrow(/invariant/);
    const taken = store.take();
    expect(() => store.write(taken, 4090, new Uint8Array(8), 0, 8)).toThrow(/invariant/);
    expect(() => store.read(taken, 1, new Uint8Array(PAGE), 0)).toThrow(/invariant/);
    expect(() => store.drop(taken)).toThrow(/invariant/);
  });
});
