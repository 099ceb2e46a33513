import { describe, expect, it } from "vitest";
import { type Place, Whereabouts } from "../../../src/io/whereabouts.ts";

const at = (host: string, label = "x", role: Place["role"] = "server"): Place => ({
  ...{ host, port: 1, label, role },
});

/** Server "a" of the name "x" was found at A, and membership says that it is there. */
function whereabouts(): Whereabouts {
  const where = new Whereabouts();
  where.say("a", at("A"));
  where.found("A:1", { identity: "a", name: "x" }, "server");
  return where;
}

describe("Whereabouts", () => {
  it("takes a new process of the same name for the successor, and one of another name for a stranger", () => {
    expect(whereabouts().gone("A:1", { identity: "b", name: "x" })).toEqual(["a"]);
    expect(whereabouts().gone("A:1", { identity: "b", name: "y" })).toEqual([]);
  });

  it("does not take a namesake that is known from another address for a successor: addresses are on the move", () => {
    const where = whereabouts();
    where.found("B:1", { identity: "b", name: "x" }, "server");
    expect(where.gone("A:1", { identity: "b", name: "x" })).toEqual([]);
    where.unsay("a");
    expect(where.gone("A:1", { identity: "b", name: "x" })).toEqual(["a"]);
  });

  it("does not count what is found at an address against one that is said to be at another", () => {
    const where = whereabouts();
    where.say("a", at("B"));
    where.follow("a");
    expect(where.gone("A:1", { identity: "b", name: "x" })).toEqual([]);
    where.unsay("a");
    expect(where.gone("A:1")).toEqual([]);
    expect(where.gone("B:1")).toEqual(["a"]);
  });

  it("looks for one without a link where it was and where it is said to be, until it is found", () => {
    const where = whereabouts();
    const needed = () => ["A:1", "B:1", "C:1"].filter((address) => where.isNeeded(address));
    where.say("a", at("B"));
    where.follow("a");
    expect(needed()).toEqual(["A:1", "B:1"]);
    where.say("a", at("C"));
    where.follow("a");
    expect(needed()).toEqual(["B:1", "C:1"]);
    where.found("C:1", { identity: "a", name: "x" }, "server");
    expect(needed()).toEqual(["C:1"]);
    where.unsay("a");
    expect(needed()).toEqual(["C:1"]);
    where.forget("a");
    expect(needed()).toEqual([]);
  });

  it("does not look for one that was found elsewhere than it says", () => {
    const where = new Whereabouts();
    where.say("a", at("B"));
    where.found("A:1", { identity: "a", name: "x" }, "server");
    expect(where.isNeeded("B:1")).toBe(false);
    expect(where.isNeeded("A:1")).toBe(true);
  });

  it("knows all roles that may be meant at an address", () => {
    const where = whereabouts();
    where.say("p", at("A", "p", "parity"));
    expect([...where.rolesAt("A:1")].sort()).toEqual(["parity", "server"]);
    where.unsay("a");
    where.unsay("p");
    expect([...where.rolesAt("A:1")]).toEqual(["server"]);
  });
});
