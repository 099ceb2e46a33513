import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { controlLimits, controlTiming } from "../../../src/base/control-limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import type { NodeRecord } from "../../../src/membership/node-record.ts";
import type { PeerTable } from "../../../src/membership/peer-table.ts";
import { identityOf, recordOf, tableOf } from "./records.ts";

const { suspectMs, downMs, removeMs, heartbeatMs } = controlTiming;

/** Ticks each heartbeat up to the time given, so that no pause of our own is seen. */
function passTo(table: PeerTable, fromMs: number, toMs: number): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += heartbeatMs) table.tick(nowMs);
}

const stateOf = (table: PeerTable, n: number) =>
  table.nodes().find((node) => node.record.identity === identityOf(n))?.state;

describe("PeerTable", () => {
  it("takes the record with the higher heartbeat and tells of changes alone", () => {
    const { table, port } = tableOf();
    table.merge([recordOf(1, { heartbeat: 5 })], 0);
    table.merge([recordOf(1, { heartbeat: 4, frames: { used: 9, free: 9, limit: 9 } })], 0);
    table.merge([recordOf(1, { heartbeat: 6 })], 0);
    table.merge([recordOf(1, { heartbeat: 7, frames: { used: 2, free: 1, limit: 3 } })], 0);
    expect(port.take()).toEqual(["up node-1", "changed node-1"]);
    expect(table.nodes()[1].record.frames.used).toBe(2);
  });

  it("goes from up over suspect and down to forgotten, and back when heard of", () => {
    const { table, port } = tableOf();
    table.merge([recordOf(1)], 0);
    passTo(table, 0, suspectMs - 1);
    expect(stateOf(table, 1)).toBe("up");
    passTo(table, suspectMs, downMs - 1);
    expect(stateOf(table, 1)).toBe("suspect");
    passTo(table, downMs, downMs);
    expect(stateOf(table, 1)).toBe("down");
    table.merge([recordOf(1, { heartbeat: 2 })], downMs + 1);
    expect(stateOf(table, 1)).toBe("up");
    passTo(table, downMs + heartbeatMs, 2 * downMs + removeMs);
    expect(stateOf(table, 1)).toBeUndefined();
    expect(port.take()).toEqual(["up node-1", "gone node-1 down", "up node-1", "gone node-1 down"]);
    table.merge([recordOf(1, { heartbeat: 2 })], 2 * downMs + removeMs);
    expect(port.take()).toEqual([]);
    table.merge([recordOf(1, { heartbeat: 3 })], 2 * downMs + removeMs);
    expect(port.take()).toEqual(["up node-1"]);
  });

  it("does not count its own standstill against the others", () => {
    const { table, port } = tableOf();
    table.tick(0);
    table.merge([recordOf(1)], 0);
    table.tick(1_000_000);
    expect(stateOf(table, 1)).toBe("up");
    expect(port.take()).toEqual(["up node-1"]);
  });

  it("does not pass on nodes it takes for down", () => {
    const { table } = tableOf();
    table.merge([recordOf(1)], 0);
    passTo(table, 0, downMs);
    expect(table.toGossip().map((record) => record.name)).toEqual(["node-0"]);
  });

  it("lets a restarted node on the same address supersede its predecessor at once, for good", () => {
    const { table, port } = tableOf();
    const old = recordOf(1, { heartbeat: 50 });
    const { name, control, data } = old;
    const fresh = recordOf(2, { name, control, data, generation: 2_000 });
    table.merge([old], 0);
    table.merge([fresh], 0);
    table.merge([{ ...old, heartbeat: 51 }], 0);
    expect(port.take()).toEqual(["up node-1", "gone node-1 superseded", "up node-1"]);
    expect(table.nodes().map((node) => node.record.identity)).toEqual([identityOf(0), identityOf(2)]);
  });

  it("does not take a silent node for replaced because another has its name, but lists the living one alone", () => {
    const { table, port } = tableOf();
    const fresh = recordOf(2, { name: "node-1", generation: 2_000 });
    table.merge([recordOf(1), fresh], 0);
    expect(table.nodes()).toHaveLength(3);
    for (let beat = 1; beat * heartbeatMs <= suspectMs; beat++) {
      table.merge([{ ...fresh, heartbeat: 1 + beat }], beat * heartbeatMs);
      table.tick(beat * heartbeatMs);
    }
    expect(port.take()).toEqual(["up node-1", "up node-1", "gone node-1 down"]);
    expect(stateOf(table, 1)).toBeUndefined();
  });

  it("lets machines that were cloned live side by side, though they tell one name and one loopback address", () => {
    const { table, port } = tableOf();
    const clone = { name: "vm-server", control: "127.0.0.1:7411" };
    table.merge([recordOf(1, { ...clone, data: "10.77.0.1:7410" })], 0);
    table.merge([recordOf(2, { ...clone, data: "10.77.0.2:7410", generation: 2_000 })], 0);
    expect(port.take()).toEqual(["up vm-server", "up vm-server"]);
    expect(table.nodes()).toHaveLength(3);
  });

  it("does not take a namesake for its own predecessor because both tell a loopback address and no other", () => {
    const clone = { name: "vm-client", role: "client" as const, control: "127.0.0.1:7412", data: null };
    const { table, port } = tableOf({ self: recordOf(0, clone) });
    table.merge([recordOf(1, clone), recordOf(2, clone)], 0);
    expect(port.take()).toEqual(["up vm-client", "up vm-client"]);
    const global = { ...clone, control: "10.77.0.3:7412" };
    const { table: other, port: told } = tableOf({ self: recordOf(0, global) });
    other.merge([recordOf(1, global)], 0);
    expect(told.take()).toEqual([]);
  });

  it("tells others of an address that it got after its start", () => {
    const { table } = tableOf({ self: recordOf(0, { control: "127.0.0.1:7411", data: "127.0.0.1:7410" }) });
    const { table: other, port } = tableOf({ self: recordOf(1) });
    other.merge(table.toGossip(), 0);
    const now = { data: "10.0.0.1:7410", control: "10.0.0.1:7411" };
    table.beat({ ...now, state: "up", frames: { used: 1, free: 2, limit: 3 } });
    other.merge(table.toGossip(), 1_000);
    expect(port.take()).toEqual(["up node-0", "changed node-0"]);
    expect(other.nodes()[1]!.record).toMatchObject(now);
  });

  it("admits a restarted node whose clock went back once its predecessor is silent", () => {
    const { table } = tableOf();
    const { name, control, data } = recordOf(1);
    const fresh = recordOf(2, { name, control, data, generation: 5 });
    table.merge([recordOf(1)], 0);
    table.merge([fresh], 0);
    expect(stateOf(table, 2)).toBeUndefined();
    passTo(table, 0, suspectMs);
    table.merge([{ ...fresh, heartbeat: 6 }], suspectMs);
    expect(stateOf(table, 2)).toBe("up");
    expect(stateOf(table, 1)).toBeUndefined();
  });

  it("keeps two live nodes of one name visible and warns once", () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (text: string) => warnings.push(text) };
    const { table } = tableOf({ log });
    for (let beat = 1; beat < 30; beat++) {
      const twin = recordOf(2, { name: "node-1", generation: 2_000, heartbeat: beat });
      table.merge([recordOf(1, { heartbeat: beat }), twin], beat * heartbeatMs);
      table.tick(beat * heartbeatMs);
    }
    expect(table.nodes()).toHaveLength(3);
    expect(warnings.length).toBeGreaterThanOrEqual(1);
    expect(warnings.length).toBeLessThanOrEqual(2);
  });

  it("said nothing of live nodes with its own name and addresses, which did not see each other", () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (text: string) => warnings.push(text) };
    const { table } = tableOf({ log });
    const { name, control, data } = table.self;
    const clone = (n: number, heartbeat: number) => recordOf(n, { name, control, data, heartbeat });
    // What is still heard of a predecessor after its end is no such node.
    for (let beat = 1; beat < 5; beat++) table.merge([clone(1, beat)], beat * heartbeatMs);
    const laterMs = 2 * downMs;
    expect(warnings).toEqual([]);
    for (let beat = 1; beat < 60; beat++) {
      table.merge([clone(2 + (beat % 2), beat)], laterMs + beat * heartbeatMs);
      if (beat * heartbeatMs < downMs) expect(warnings).toEqual([]);
    }
    expect(warnings).toHaveLength(1);
  });

  it("passes a leaving on for a while and does not take the node back", () => {
    const { table, port } = tableOf();
    table.merge([recordOf(1, { heartbeat: 5 })], 0);
    table.merge([recordOf(1, { heartbeat: 6, state: "left" })], 0);
    table.merge([recordOf(1, { heartbeat: 99 })], 0);
    expect(port.take()).toEqual(["up node-1", "gone node-1 left"]);
    expect(table.toGossip().map((record) => record.state)).toEqual(["up", "left"]);
    passTo(table, 0, controlTiming.leftGossipMs);
    expect(table.toGossip()).toHaveLength(1);
  });

  it("shows a draining node as draining", () => {
    const { table } = tableOf();
    table.merge([recordOf(1, { state: "draining" })], 0);
    expect(stateOf(table, 1)).toBe("draining");
  });

  it("ignores records that claim to be this node", () => {
    const { table, port } = tableOf();
    table.merge([recordOf(0, { heartbeat: 1e9, name: "other" })], 0);
    expect(port.take()).toEqual([]);
    expect(table.self.name).toBe("node-0");
  });

  it("refuses newcomers when full, but gives the place of a node that is down", () => {
    const { table } = tableOf({ nodesMax: 4 });
    const five = [1, 2, 3, 4, 5].map((n) => recordOf(n));
    expect(table.merge(five, 0)).toMatchObject({ taken: 3, refused: 2 });
    expect(table.merge(five, 0).problem).toContain("at most 4");
    passTo(table, 0, downMs);
    expect(table.merge([recordOf(6)], downMs)).toMatchObject({ taken: 1, refused: 0 });
    expect(table.nodes()).toHaveLength(4);
  });

  it("never looked again for nodes that it forgot in a long split: where the seed was gone, it stayed split", () => {
    const { table } = tableOf();
    table.merge([recordOf(1), recordOf(2), recordOf(3), recordOf(4)], 0);
    passTo(table, 0, removeMs);
    expect(table.nodes()).toHaveLength(1);
    const sought = () => new Set(Array.from({ length: 500 }, () => table.gossipTargets(3)[0]?.name));
    expect(sought()).toEqual(new Set(["node-1", "node-2", "node-3", "node-4", undefined]));
    // One that is back, one that has left, one with another's place: nobody is to be looked for there.
    const heard = [
      recordOf(1, { heartbeat: 9 }),
      recordOf(2, { heartbeat: 9, state: "left" }),
      recordOf(5, { control: recordOf(3).control }),
    ];
    table.merge(heard, removeMs);
    expect(sought()).toEqual(new Set(["node-1", "node-4", "node-5"]));
  });

  it("looks for a bounded number of forgotten nodes", () => {
    const { table } = tableOf();
    for (let n = 1; n <= 3 * controlLimits.forgottenNodesMax; n++) {
      const nowMs = n * 2 * removeMs;
      table.merge([recordOf(n)], nowMs);
      passTo(table, nowMs, nowMs + removeMs);
    }
    const sought = new Set(Array.from({ length: 9_000 }, () => table.gossipTargets(1)[0]?.name));
    expect(sought.size).toBe(controlLimits.forgottenNodesMax + 1);
  });

  it("chooses distinct live targets, the same for the same seed", () => {
    const choose = () => {
      const { table } = tableOf({ seed: 7 });
      table.merge(
        Array.from({ length: 10 }, (_, n) => recordOf(n + 1)),
        0,
      );
      return Array.from({ length: 50 }, () => table.gossipTargets(3).map((record) => record.name));
    };
    const rounds = choose();
    expect(choose()).toEqual(rounds);
    for (const round of rounds) expect(new Set(round).size).toBe(3);
    expect(new Set(rounds.flat()).size).toBe(10);
  });
});

describe("PeerTable and foreign tables", () => {
  it.each<[string, unknown]>([
    ["null", null],
    ["text", "nodes"],
    ["an object", { length: 3 }],
    ["too many", Array.from({ length: 1000 }, (_, n) => recordOf(n))],
  ])("refuses %s as a table", (_, foreign) => {
    const { table, port } = tableOf();
    expect(table.merge(foreign, 0).problem).not.toBeNull();
    expect(port.events).toEqual([]);
  });

  it.each<[string, Record<string, unknown>]>([
    ["identity", { identity: "x" }],
    ["name", { name: "a\u001b[2J" }],
    ["name", { name: "a".repeat(64) }],
    ["role", { role: "root" }],
    ["generation", { generation: -1 }],
    ["heartbeat", { heartbeat: Number.NaN }],
    ["heartbeat", { heartbeat: 2n }],
    ["pid", { pid: 1.5 }],
    ["data", { data: "nowhere" }],
    ["data", { data: undefined }],
    ["control", { control: `${"h".repeat(300)}:1` }],
    ["state", { state: "down" }],
    ["frames", { frames: { used: 1, free: 2 } }],
    ["client", { client: { name: "x" } }],
  ])("refuses a record with a wrong %s and takes its neighbours", (field, wrong) => {
    const { table } = tableOf();
    const result = table.merge([recordOf(1), { ...recordOf(2), ...wrong }, recordOf(3)], 0);
    expect(result).toMatchObject({ taken: 2, refused: 1 });
    expect(result.problem).toContain(`node.${field}`);
  });

  it("stays within its bounds and does not throw whatever comes", () => {
    const anything = fc.oneof(
      fc.anything(),
      fc
        .record({ identity: fc.nat(600).map(identityOf), heartbeat: fc.nat() })
        .map((some) => recordOf(1, some)),
      fc.nat(600).map((n) => recordOf(n, { state: n % 3 === 0 ? "left" : "up" })),
    );
    fc.assert(
      fc.property(fc.array(fc.array(anything, { maxLength: 40 }), { maxLength: 20 }), (tables) => {
        const { table } = tableOf({ nodesMax: 20 });
        let nowMs = 0;
        for (const foreign of tables) {
          table.merge(foreign, nowMs);
          table.tick(nowMs);
          nowMs += 1_000;
          expect(table.nodes().length).toBeLessThanOrEqual(20);
          expect(table.toGossip().length).toBeLessThanOrEqual(20 + controlLimits.leftNodesMax);
        }
      }),
      { numRuns: 60 },
    );
  });

  /** What a node says at a heartbeat is a function of node and heartbeat; its last word is `left`. */
  const said = fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 9 }))
    .map(([n, heartbeat]): NodeRecord => {
      const state = heartbeat === 9 ? "left" : "up";
      return recordOf(n, { heartbeat, state, frames: { used: heartbeat, free: n, limit: 20 } });
    });
  const foreignTable = fc.array(said, { maxLength: 12 });

  it("merges in any order to the same table, and a table twice like once", () => {
    fc.assert(
      fc.property(foreignTable, foreignTable, (a, b) => {
        const merged = (...tables: NodeRecord[][]) => {
          const { table } = tableOf();
          for (const foreign of tables) table.merge(foreign, 0);
          return table.nodes();
        };
        expect(merged(a, b)).toEqual(merged(b, a));
        expect(merged(a, b, a, b)).toEqual(merged(a, b));
      }),
    );
  });
});
