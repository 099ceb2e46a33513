import { expect, it } from "vitest";
import { GroupState, GroupTable } from "../../../src/redundancy/group-table.ts";

const page = (slot: number) => ({ pageId: slot + 1, slot, checksum: slot, holder: slot % 4 });

it("a table that was made for a device does not grow when the device is full", () => {
  const slots = 16_384;
  const table = new GroupTable(slots, 4, slots / 4);
  const columns = [table.state, table.pageId, table.slot];
  for (let slot = 0, group = -1; slot < slots; slot += 1) {
    if (slot % 4 === 0) group = table.make(GroupState.OPEN);
    table.add(group, page(slot), true);
  }
  expect([table.state, table.pageId, table.slot]).toEqual(columns);
  expect(table.state).toBe(columns[0]);
  // More groups than were reckoned with are no fault.
  const extra = table.make(GroupState.OPEN);
  table.kill(table.liveOf(7));
  table.add(extra, { ...page(7), pageId: 99_999 }, true);
  expect(table.memberOf(extra, 99_999)).toBe(table.liveOf(7));
  expect(table.state.length).toBe(slots / 2);
});

it("the memory that a table names is within its bound, and that of the groups that are used first", () => {
  const slots = 65_536;
  const table = new GroupTable(slots, 4, slots / 2);
  const bytes = (perSlot: number) => table.memory(perSlot).reduce((sum, { length }) => sum + length, 0);
  expect(bytes(36)).toBeGreaterThan(slots * 39.9);
  expect(bytes(36)).toBeLessThan(slots * 40.1);
  expect(bytes(10_000)).toBe(slots * 4 + (slots / 2) * (32 + 4 * 24));
  for (const region of table.memory(36)) expect(region.byteOffset).toBe(0);
});
