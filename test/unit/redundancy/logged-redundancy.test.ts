import { beforeEach, describe, expect, it } from "vitest";
import { GroupState } from "../../../src/redundancy/group-table.ts";
import type { LoggedRedundancy } from "../../../src/redundancy/logged-redundancy.ts";
import { FakePort, OperationKind, parityOver } from "./fake-port.ts";

describe("parity of a client whose servers come and go", () => {
  let port: FakePort;
  let redundancy: LoggedRedundancy;

  beforeEach(() => {
    port = new FakePort();
    redundancy = parityOver(port);
  });

  const hold = (slot: number, server: string): void => {
    const holder = port.table.byIdentity(server)!;
    redundancy.pageHeld(slot, 0, 100 + slot, 7, holder);
  };

  it("keeps what makes up for a lost server while nobody takes parity, however scarce accumulators are", () => {
    const first = port.serve("a");
    port.serve("b");
    hold(0, "a");
    hold(1, "b");
    redundancy.tick(0);
    port.unlink(first);
    redundancy.holderAway(first);
    for (let slot = 2; slot < 10; slot += 1) {
      hold(slot, "b");
      redundancy.tick(slot);
    }
    const group = redundancy.groups.groupOf(redundancy.groups.liveOf(0));
    expect(port.accumulatorsLeft).toBe(0);
    expect(redundancy.groups.state[group]).toBe(GroupState.CLOSING);
  });

  it("does not give a page up whose server gives wrong bytes while another of its group is merely away", () => {
    const servers = ["a", "b"].map((name) => port.serve(name));
    const parity = port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    expect(redundancy.hasOthers(0)).toBe(true);
    const group = redundancy.groups.groupOf(redundancy.groups.liveOf(0));
    redundancy.groups.state[group] = GroupState.PROTECTED;
    redundancy.groups.parityHolder[group] = parity.index;
    servers[1]!.state = "away";
    expect(redundancy.hasOthers(0)).toBe(true);
    servers[1]!.state = "dead";
    expect(redundancy.hasOthers(0)).toBe(false);
    redundancy.groups.state[group] = GroupState.BARE;
    expect(redundancy.hasOthers(0)).toBe(false);
  });

  it("does not hold writes up for parity servers that are full", () => {
    port.serve("a");
    port.serve("b");
    port.serve("p", "parity", 0);
    for (let slot = 0; slot < 16; slot += 1) hold(slot, slot % 2 === 0 ? "a" : "b");
    redundancy.tick(0);
    expect(port.accumulatorsLeft).toBe(0);
    expect(redundancy.hasRoom).toBe(true);
    expect(redundancy.figures().unprotected).toBeGreaterThan(0);
    port.table.byIdentity("p")!.report({ free: 10, limit: 100, used: 90 });
    expect(redundancy.hasRoom).toBe(false);
  });

  it("replaces a parity that is out of reach before it gives it up", () => {
    port.serve("a");
    port.serve("b");
    const parity = port.serve("p", "parity");
    hold(0, "a");
    hold(1, "b");
    redundancy.tick(0);
    redundancy.parityHeld(port.puts[0]!.accumulator);
    expect(redundancy.figures().unprotected).toBe(0);
    port.unlink(parity);
    redundancy.holderAway(parity);
    const spare = port.serve("q", "parity");
    redundancy.tick(5_000);
    expect(redundancy.figures().unprotected).toBe(2);
    expect(port.operations).toMatchObject([
      { kind: OperationKind.COMPOSE, server: spare, sources: [100, 101] },
    ]);
    expect(port.invalidated).toEqual([]);
    redundancy.operationDone(port.operations[0]!.index, 0, 0);
    expect(port.invalidated).toEqual(["p/1001"]);
    expect(redundancy.figures().unprotected).toBe(0);
    expect(port.lost).toEqual([]);
  });
});
