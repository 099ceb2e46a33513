import { expect, it } from "vitest";
import type { Holder } from "../../../src/placement/holder.ts";
import { Suspicions } from "../../../src/redundancy/suspicions.ts";

const parity = {} as Holder;
const near = {} as Holder;
const far = {} as Holder;

it("a server was out of reach for as long as what needed another as well failed, and never tried alone", () => {
  const suspicions = new Suspicions();
  for (suspicions.nowMs = 0; suspicions.nowMs <= 20_000; suspicions.nowMs += 1_000) {
    suspicions.failed(parity, near);
    suspicions.failed(parity, far);
  }
  expect([near, far].map((server) => suspicions.isOut(parity, server))).toEqual([true, true]);
  expect([near, far].map((server) => suspicions.isOutAlone(parity, server))).toEqual([false, false]);
  suspicions.failed(parity, far, true);
  expect(suspicions.isOutAlone(parity, far)).toBe(true);
  suspicions.succeeded(parity, near);
  expect([suspicions.has(parity, near), suspicions.isOut(parity, near)]).toEqual([false, false]);
  suspicions.nowMs += 6_000;
  expect([suspicions.isOut(parity, far), suspicions.isOutAlone(parity, far)]).toEqual([false, false]);
});
