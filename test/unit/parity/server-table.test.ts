import { expect, it } from "vitest";
import { IDENTITY_BYTES, OWN_STORE, SERVER_INDEX_MAX } from "../../../proto/peer/index.ts";
import { toHex } from "../../../src/base/hex.ts";
import { limits } from "../../../src/base/limits.ts";
import { ServerIndex } from "../../../src/parity/server-index.ts";
import { NO_SERVER, ServerTable } from "../../../src/parity/server-table.ts";

const identityOf = (i: number): Uint8Array => {
  const bytes = new Uint8Array(IDENTITY_BYTES);
  new DataView(bytes.buffer).setUint32(4, i);
  return bytes;
};

it("a number means its identity as long as somebody holds it, and is used again", () => {
  const table = new ServerTable();
  const a = table.take("a");
  const b = table.take("b");
  expect(table.take("a")).toBe(a);
  expect([table.identity(a), table.identity(b), table.identity(NO_SERVER)]).toEqual(["a", "b", ""]);
  table.release(a);
  expect(table.identity(a)).toBe("a");
  table.release(a);
  expect(table.count).toBe(1);
  expect(table.take("c")).toBe(a);
  expect(table.hold(NO_SERVER)).toBe(NO_SERVER);
  table.release(NO_SERVER);
});

it("there are no more numbers than columns can hold: what comes then is not known", () => {
  const table = new ServerTable();
  for (let i = 0; i < limits.parityServersMax; i += 1) expect(table.take(`${i}`)).not.toBe(NO_SERVER);
  expect(table.take("one more")).toBe(NO_SERVER);
  expect(table.take("7")).toBe(8);
  table.release(5);
  expect(table.take("one more")).toBe(5);
  expect(limits.parityServersMax).toBeLessThan(OWN_STORE);
});

it("an index of a connection means what it was last said to mean", () => {
  const table = new ServerTable();
  const index = new ServerIndex(table);
  const [a, b, c] = [1, 2, 3].map(identityOf);
  index.define(3, a!);
  index.define(4095, b!);
  const held = index.hold(3);
  index.define(3, c!);
  expect([table.identity(held), table.identity(index.hold(3))]).toEqual([toHex(a!), toHex(c!)]);
  expect([index.hold(5), index.hold(60_000)]).toEqual([NO_SERVER, NO_SERVER]);
  expect(index.holdSource(OWN_STORE)).toBe(OWN_STORE);
  index.define(4095, b!);
  expect(table.count).toBe(3);
  index.clear();
  table.release(held);
  // One hold of "c" is still out.
  expect(table.count).toBe(1);
});

it("one connection that names a server for each index does not use up the numbers of others", () => {
  const table = new ServerTable();
  const greedy = new ServerIndex(table);
  const most = limits.parityServersPerConnectionMax;
  for (let round = 0; round < 2; round += 1)
    for (let i = 0; i <= SERVER_INDEX_MAX; i += 1) greedy.define(i, identityOf(round * 10_000 + i));
  expect(table.count).toBe(most);
  // Of its own indices as many are known as it may name, whichever are used.
  const known = Array.from({ length: SERVER_INDEX_MAX + 1 }, (_, i) => greedy.hold(i) !== NO_SERVER);
  expect(known.filter(Boolean)).toHaveLength(most);
  greedy.define(0, identityOf(20_000));
  expect(table.identity(greedy.hold(0))).toBe(toHex(identityOf(20_000)));
});

it("an index that found no number has one as soon as one is free", () => {
  const table = new ServerTable();
  for (let i = 0; i < limits.parityServersMax; i += 1) table.take(`${i}`);
  const index = new ServerIndex(table);
  index.define(2, identityOf(2));
  expect(index.hold(2)).toBe(NO_SERVER);
  table.release(5);
  expect(index.hold(2)).toBe(5);
  expect(table.identity(5)).toBe(toHex(identityOf(2)));
  table.release(5);
  index.clear();
  expect(table.count).toBe(limits.parityServersMax - 1);
});
