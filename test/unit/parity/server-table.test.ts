import { expect, it } from "vitest";
import { OWN_STORE } from "../../../proto/peer/index.ts";
import { limits } from "../../../src/base/limits.ts";
import { ServerIndex } from "../../../src/parity/server-index.ts";
import { NO_SERVER, ServerTable } from "../../../src/parity/server-table.ts";

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
  index.define(3, "a");
  index.define(4095, "b");
  const held = index.hold(3);
  index.define(3, "c");
  expect([table.identity(held), table.identity(index.hold(3))]).toEqual(["a", "c"]);
  expect([index.hold(5), index.hold(60_000)]).toEqual([NO_SERVER, NO_SERVER]);
  expect(index.holdSource(OWN_STORE)).toBe(OWN_STORE);
  index.define(4095, "b");
  expect(table.count).toBe(3);
  index.clear();
  table.release(held);
  // One hold of "c" is still out.
  expect(table.count).toBe(1);
});
