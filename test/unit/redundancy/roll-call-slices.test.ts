import { beforeEach, describe, expect, it } from "vitest";
import { Holder } from "../../../src/placement/holder.ts";
import type { GroupParts } from "../../../src/redundancy/group-parts.ts";
import { GroupState, GroupTable } from "../../../src/redundancy/group-table.ts";
import { RollCall } from "../../../src/redundancy/roll-call.ts";
import type { Vanished } from "../../../src/redundancy/vanished.ts";

const A = 0;
const B = 1;
const PARITY = 2;
const PAST = 3;

/** Ten groups of one page on A each, slots 0 to 9, of which two are looked at at a time. */
describe("a list that is longer than what is looked at at a time", () => {
  let groups: GroupTable;
  let call: RollCall;
  let gone: string[];
  /** Whether there is room to say that a member has vanished. */
  let isRoomy: boolean;
  const a = new Holder(A, "a", "a", "server");
  const parity = new Holder(PARITY, "p", "p", "parity");
  a.references = 10;
  parity.references = 10;

  const page = (slot: number, holder: number) => ({ pageId: 100 + slot, slot, checksum: 0, holder });
  const finish = (): void => {
    for (let i = 0; i < 20 && call.isUnsure; i += 1) call.work();
  };

  beforeEach(() => {
    groups = new GroupTable(100, 2);
    gone = [];
    isRoomy = true;
    for (let slot = 0; slot < 10; slot += 1) {
      const group = groups.make(GroupState.PROTECTED);
      groups.parityHolder[group] = PARITY;
      groups.add(group, page(slot, A), true);
      groups.paritySeen(group);
    }
    const vanished = {
      member: (member: number) => {
        if (!isRoomy) return false;
        gone.push(`page ${groups.slot[member]}`);
        groups.holder[member] = PAST;
        groups.seen(member);
        return true;
      },
      parity: (group: number) => {
        gone.push(`parity ${group}`);
        groups.parityHolder[group] = PAST;
        return true;
      },
    };
    const port = { notice: () => {}, readAgain: () => {} };
    call = new RollCall({ groups, port } as unknown as GroupParts, vanished as unknown as Vanished, 2);
  });

  it("is compared bit by bit, and it is known that this is not done yet", () => {
    call.begin(a);
    for (const slot of [0, 1, 2, 4, 5, 6, 7, 8]) groups.seen(groups.liveOf(slot));
    call.end(a);
    expect([gone, call.isUnsure]).toEqual([[], true]);
    call.work();
    expect([gone, call.isUnsure]).toEqual([["page 3"], true]);
    finish();
    expect(gone).toEqual(["page 3", "page 9"]);
  });

  it("two lists at a time: each is compared with what its own server should have", () => {
    call.begin(a);
    call.begin(parity);
    for (let slot = 0; slot < 10; slot += 1) if (slot !== 8) groups.seen(groups.liveOf(slot));
    for (let group = 0; group < 10; group += 1) if (group !== 1) groups.paritySeen(group);
    call.end(a);
    call.end(parity);
    finish();
    expect(gone).toEqual(["page 8", "parity 1"]);
  });

  it("a page that went to a group that had been looked at is looked at there", () => {
    call.begin(a);
    for (let slot = 0; slot < 9; slot += 1) groups.seen(groups.liveOf(slot));
    call.end(a);
    groups.transfer(groups.liveOf(9), 0);
    finish();
    expect(gone).toEqual(["page 9"]);
  });

  it("what comes to the server meanwhile, in groups not looked at yet, has not vanished", () => {
    call.begin(a);
    for (let slot = 0; slot < 10; slot += 1) groups.seen(groups.liveOf(slot));
    call.end(a);
    groups.add(9, page(50, A), true);
    const moved = groups.add(8, page(51, B), true);
    groups.holder[moved] = A;
    groups.seen(moved);
    finish();
    expect(gone).toEqual([]);
  });

  it("a server that is asked again, or goes away, is not judged by the list before", () => {
    call.begin(a);
    call.end(a);
    expect(gone).toEqual(["page 0", "page 1"]);
    call.cancel(a);
    finish();
    expect(gone).toHaveLength(2);
    call.begin(a);
    call.end(a);
    call.work();
    expect(gone).toHaveLength(4);
    call.begin(a);
    finish();
    expect(gone).toHaveLength(4);
  });

  it("was gone through for ever, the next one never, while what that one lacks went from group to group", () => {
    const b = new Holder(B, "b", "b", "server");
    b.references = 1;
    groups.add(0, page(50, B), true);
    call.begin(a);
    call.begin(b);
    for (let slot = 0; slot < 10; slot += 1) groups.seen(groups.liveOf(slot));
    call.end(a);
    call.end(b);
    for (let i = 0; i < 20 && gone.length === 0; i += 1) {
      groups.transfer(groups.liveOf(50), 1 + (i % 9));
      call.work();
    }
    expect(gone).toEqual(["page 50"]);
  });

  it("kept the next one waiting while pages that it lacks, and that no past has room for, went about", () => {
    isRoomy = false;
    call.begin(a);
    call.begin(parity);
    for (let slot = 1; slot < 10; slot += 1) groups.seen(groups.liveOf(slot));
    call.end(a);
    call.end(parity);
    for (let i = 0; i < 40; i += 1) {
      groups.transfer(groups.liveOf(0), 1 + (i % 9));
      call.work();
    }
    expect(gone).toHaveLength(9);
  });

  it("counted as looked through where the server that was back was asked once more meanwhile", () => {
    call.begin(a);
    call.isBack(a);
    call.end(a);
    call.begin(a);
    expect(call.isUnsure).toBe(true);
    for (let slot = 2; slot < 10; slot += 1) groups.seen(groups.liveOf(slot));
    call.end(a);
    finish();
    expect([gone, call.isUnsure]).toEqual([["page 0", "page 1"], false]);
  });

  it("was waited for although the server, asked once more, should have nothing any more", () => {
    const b = new Holder(B, "b", "b", "server");
    b.references = 1;
    call.begin(b);
    call.isBack(b);
    call.end(b);
    b.references = 0;
    call.begin(b);
    expect(call.isUnsure).toBe(false);
  });

  it("pages seen 256 lists ago, none of which was complete, were taken for seen", () => {
    for (let i = 0; i < 255; i += 1) {
      call.begin(a);
      call.cancel(a);
    }
    call.begin(a);
    call.end(a);
    finish();
    expect(gone).toHaveLength(10);
  });
});
