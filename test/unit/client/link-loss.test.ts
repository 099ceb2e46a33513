import { expect, test } from "vitest";
import { PageResult } from "../../../src/client/page-waiter.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

test("pages that lost links had delivered, listed while they are placed there again, are not dropped", () => {
  const client = new TestClient();
  const [a, b] = [memoryServer("a"), memoryServer("b")];
  const [toA, toB] = [client.join(a), client.join(b)];
  toA.toClient = false;
  toB.toClient = false;
  // Far more than a link queues at a time, so that some are still to be placed when the list comes.
  const slots = [...Array(1600).keys()];
  const writes = slots.map((slot) => client.write(slot, pageOf(slot)));
  client.pump();
  expect(a.snapshot().pagesHeld + b.snapshot().pagesHeld).toBe(slots.length);
  client.cut(toA);
  client.cut(toB);
  client.join(b);
  expect(writes.every((write) => write.done)).toBe(true);

  const reads = slots.map((slot) => client.read(slot));
  client.pump();
  expect(reads.filter((read) => read.result !== PageResult.OK)).toEqual([]);
  for (const slot of slots) expect(Buffer.compare(reads[slot]!.bytes!, pageOf(slot))).toBe(0);
  expect(b.snapshot().pagesHeld).toBe(slots.length);
  client.join(a);
  expect(a.snapshot().pagesHeld).toBe(0);
});
