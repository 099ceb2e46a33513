import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Arena } from "../../../src/base/arena.ts";
import { PAGE_BYTES } from "../../../src/base/page.ts";
import { folded, xxh3 } from "./xxh3.ts";

const arena = new Arena(16 * PAGE_BYTES);
const region = arena.bytes.subarray(0, 16 * PAGE_BYTES);
const word = fc.integer({ min: 0, max: 0xffff_ffff });
const page = fc.uint8Array({ minLength: PAGE_BYTES, maxLength: PAGE_BYTES });

const reference = (bytes: Uint8Array, low: number, high: number): number =>
  folded(xxh3(bytes, (BigInt(high) << 32n) | BigInt(low)));

const knownPages: Record<string, Uint8Array> = {
  zeros: new Uint8Array(PAGE_BYTES),
  ones: new Uint8Array(PAGE_BYTES).fill(0xff),
  mixed: Uint8Array.from({ length: PAGE_BYTES }, (_, i) => i * i * 7 + Math.floor(i / 256) * 13),
};

describe("checksum of a page", () => {
  // Made with the xxHash library (0.8).
  it.each([
    ["zeros", 0x0n, 0x93d76fe148c689ban],
    ["zeros", 0x1n, 0xeca1fdafb7b0bd2an],
    ["zeros", 0xffff_ffff_ffff_ffffn, 0x02bf7f02d5c3ea3en],
    ["ones", 0x0n, 0x074cfac273851dd6n],
    ["ones", 0x1_0000_0000n, 0x1c2a653bf060142bn],
    ["ones", 0x9e37_79b1_85eb_ca87n, 0xc09caeab3ffedc5cn],
    ["mixed", 0x0n, 0xfa13ba7b8624b347n],
    ["mixed", 0x1n, 0x8b9c8b4f32b92be0n],
    ["mixed", 0x1_0000_0000n, 0xa5fa65bea8f9c14cn],
    ["mixed", 0xffff_ffff_ffff_ffffn, 0x3949f7744bc2e0a0n],
    ["mixed", 0x9e37_79b1_85eb_ca87n, 0xb7d1023648efdf96n],
  ])(
    "is XXH3, seeded with the page id and folded, as the library has it: %s, seed %i",
    (kind, seed, hash) => {
      const bytes = knownPages[kind]!;
      expect(xxh3(bytes, seed)).toBe(hash);
      arena.bytes.set(bytes, PAGE_BYTES);
      const [low, high] = [Number(seed & 0xffff_ffffn), Number(seed >> 32n)];
      expect(arena.pageChecksum(PAGE_BYTES, low, high)).toBe(folded(hash));
    },
  );

  it("is that of the reference for any page and id, wherever the page lies", () => {
    fc.assert(
      fc.property(page, word, word, fc.nat(3), (bytes, low, high, frame) => {
        arena.bytes.set(bytes, frame * PAGE_BYTES);
        expect(arena.pageChecksum(frame * PAGE_BYTES, low, high)).toBe(reference(bytes, low, high));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [0, 0],
    [0xffff_ffff, 0xffff_ffff],
    [0x8000_0000, 0x8000_0000],
    [1, 0],
    [0, 1],
  ])("agrees for plain pages and the seed %i, %i", (low, high) => {
    for (const value of [0, 0xff, 0x80]) {
      arena.fill(0, value, PAGE_BYTES);
      expect(arena.pageChecksum(0, low, high)).toBe(
        reference(new Uint8Array(PAGE_BYTES).fill(value), low, high),
      );
    }
  });

  it("changes when any single byte changes, and with the page id", () => {
    arena.fill(0, 0x5a, PAGE_BYTES);
    const whole = arena.pageChecksum(0, 7, 0);
    for (let i = 0; i < PAGE_BYTES; i += 1) {
      arena.bytes[i]! ^= 1;
      expect(arena.pageChecksum(0, 7, 0)).not.toBe(whole);
      arena.bytes[i]! ^= 1;
    }
    expect(arena.pageChecksum(0, 8, 0)).not.toBe(whole);
    expect(arena.pageChecksum(0, 7, 1)).not.toBe(whole);
    expect(arena.pageChecksum(0, 7, 0)).toBe(whole);
  });
});

describe("work on regions", () => {
  const half = 8 * PAGE_BYTES;
  const range = fc.tuple(fc.nat(half), fc.nat(half), fc.nat(half));
  const contents = fc.uint8Array({ minLength: 16 * PAGE_BYTES, maxLength: 16 * PAGE_BYTES });

  it("copies as copyWithin does, overlaps included", () => {
    fc.assert(
      fc.property(contents, range, (before, [dst, src, bytes]) => {
        arena.bytes.set(before);
        arena.copy(dst, src, bytes);
        expect(Buffer.compare(region, before.slice().copyWithin(dst, src, src + bytes))).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("XORs exactly the region", () => {
    fc.assert(
      fc.property(contents, fc.nat(64), fc.nat(64), fc.nat(128), (before, dstPad, srcPad, units) => {
        arena.bytes.set(before);
        const dst = dstPad;
        const src = half + srcPad;
        const expected = before.slice();
        for (let i = 0; i < units * 32; i += 1) expected[dst + i]! ^= before[src + i]!;
        arena.xor(dst, src, units * 32);
        expect(Buffer.compare(region, expected)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("fills exactly the region with the pattern, low word first", () => {
    fc.assert(
      fc.property(contents, fc.nat(64), fc.nat(128), word, word, (before, dst, units, low, high) => {
        arena.bytes.set(before);
        const expected = Buffer.from(before);
        for (let at = dst; at < dst + units * 32; at += 8) {
          expected.writeUInt32LE(low, at);
          expected.writeUInt32LE(high, at + 4);
        }
        arena.fillPattern(dst, low, high, units * 32);
        expect(Buffer.compare(region, expected)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("traps outside the memory instead of touching anything", () => {
    const end = arena.bytes.length;
    expect(() => arena.copy(end - 10, 0, 11)).toThrow();
    expect(() => arena.xor(end, 0, 32)).toThrow();
    expect(() => arena.pageChecksum(end - PAGE_BYTES + 1, 0, 0)).toThrow();
  });

  it("lends out nothing of what the kernel writes to for itself", () => {
    const whole = new Arena(PAGE_BYTES);
    const at = whole.allocate(whole.sizeBytes, 1);
    whole.fill(at, 0x5a, whole.sizeBytes);
    const sum = whole.pageChecksum(at, 1, 2);
    expect(whole.bytes.subarray(at, whole.sizeBytes).every((byte) => byte === 0x5a)).toBe(true);
    // And nothing that others write there matters.
    whole.bytes.fill(0xff, whole.sizeBytes);
    expect(whole.pageChecksum(at, 1, 2)).toBe(sum);
    expect(() => whole.allocate(1, 1)).toThrow("holds its regions");
  });
});

describe("isSameFilled", () => {
  it("is true for one 64-bit word repeated", () => {
    fc.assert(
      fc.property(word, word, (low, high) => {
        arena.fillPattern(PAGE_BYTES, low, high, PAGE_BYTES);
        expect(arena.isSameFilled(PAGE_BYTES)).toBe(true);
      }),
    );
  });

  it("sees a single differing bit in any byte", () => {
    for (const low of [0, 0xdead_beef]) {
      arena.fillPattern(PAGE_BYTES, low, 0x0102_0304, PAGE_BYTES);
      for (let i = 0; i < PAGE_BYTES; i += 1) {
        const bit = 1 << (i % 8);
        arena.bytes[PAGE_BYTES + i]! ^= bit;
        expect(arena.isSameFilled(PAGE_BYTES), `byte ${i}`).toBe(false);
        arena.bytes[PAGE_BYTES + i]! ^= bit;
      }
      expect(arena.isSameFilled(PAGE_BYTES)).toBe(true);
    }
  });

  it("looks at the page alone, not at its neighbours", () => {
    arena.fill(0, 0, 3 * PAGE_BYTES);
    arena.bytes[PAGE_BYTES - 1] = 1;
    arena.bytes[2 * PAGE_BYTES] = 1;
    expect(arena.isSameFilled(PAGE_BYTES)).toBe(true);
  });

  it("is false for a page of two halves and for one of short periods other than 8 bytes", () => {
    arena.fill(0, 1, PAGE_BYTES / 2);
    arena.fill(PAGE_BYTES / 2, 2, PAGE_BYTES / 2);
    expect(arena.isSameFilled(0)).toBe(false);
    for (let i = 0; i < PAGE_BYTES; i += 1) arena.bytes[i] = (i >> 3) & 1;
    expect(arena.isSameFilled(0)).toBe(false);
  });
});

describe("allocate", () => {
  it("gives regions that are aligned, inside, and apart", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5000), fc.constantFrom(1, 8, 64, PAGE_BYTES)), { maxLength: 40 }),
        (wanted) => {
          const own = new Arena(65_536);
          let end = 0;
          for (const [bytes, align] of wanted) {
            const at = Math.ceil(end / align) * align;
            if (at + bytes > own.sizeBytes) {
              expect(() => own.allocate(bytes, align)).toThrow(/holds its regions/);
            } else {
              expect(own.allocate(bytes, align)).toBe(at);
              end = at + bytes;
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("takes the last byte and no more", () => {
    const own = new Arena(65_536);
    expect(own.allocate(own.sizeBytes)).toBe(0);
    expect(() => own.allocate(1, 1)).toThrow(/holds its regions/);
  });

  it("refuses sizes that are no sizes, which would hand out a region twice", () => {
    const own = new Arena(65_536);
    own.allocate(PAGE_BYTES);
    for (const bytes of [-PAGE_BYTES, 0.5, Number.NaN]) {
      expect(() => own.allocate(bytes)).toThrow(/whole number of bytes/);
    }
    expect(own.allocate(PAGE_BYTES)).toBe(PAGE_BYTES);
  });

  it("rounds the memory up to what WebAssembly counts in", () => {
    expect(new Arena(1).bytes.length).toBe(65_536);
    expect(new Arena(65_536).bytes.length).toBe(131_072);
    expect(new Arena(65_536).sizeBytes).toBeGreaterThanOrEqual(65_536);
  });
});

it("refuses an arena of 4 GiB, where the end of the last page wraps to address 0 and is never reached", () => {
  expect(() => new Arena(2 ** 32)).toThrow(/an arena takes/);
  expect(() => new Arena(0)).toThrow(/an arena takes/);
});
