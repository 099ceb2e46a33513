import { expect, it } from "vitest";
import { ByteRing } from "../../../src/base/byte-ring.ts";
import { Prng } from "../../../src/base/prng.ts";

it("gives bytes back in the order in which they came, round after round, and takes all of a piece or nothing", () => {
  const prng = new Prng(3);
  const ring = new ByteRing(17);
  const model: number[] = [];
  const into = new Uint8Array(8);
  for (let turn = 0, next = 0; turn < 2_000; turn += 1) {
    const bytes = Uint8Array.from({ length: prng.next() % 9 }, () => next++ & 0xff);
    const fits = model.length + bytes.length <= 17;
    expect(ring.push(bytes)).toBe(fits);
    if (fits) model.push(...bytes);
    const count = ring.peek(into);
    expect([...into.subarray(0, count)]).toEqual(model.slice(0, 8));
    const dropped = Math.min(count, prng.next() % 9);
    ring.drop(dropped);
    model.splice(0, dropped);
    expect([ring.length, ring.free]).toEqual([model.length, 17 - model.length]);
  }
});
