import { describe, expect, it } from "vitest";
import { Barriers } from "../../../src/client/barriers.ts";

describe("Barriers", () => {
  it("lets pass at once what is protected, the rest when it is, in order", () => {
    const barriers = new Barriers();
    const passed: string[] = [];
    let isProtected = false;
    barriers.wait(
      () => true,
      () => passed.push("at once"),
    );
    barriers.wait(
      () => isProtected,
      () => passed.push("first"),
    );
    barriers.wait(
      () => false,
      () => passed.push("never"),
    );
    barriers.wait(
      () => isProtected,
      () => passed.push("second"),
    );
    barriers.pass();
    expect(passed).toEqual(["at once"]);
    isProtected = true;
    barriers.pass();
    barriers.pass();
    expect(passed).toEqual(["at once", "first", "second"]);
  });

  it("keeps those who come while others pass", () => {
    const barriers = new Barriers();
    const passed: string[] = [];
    let open = false;
    const later = () =>
      barriers.wait(
        () => passed.length === 1 && open,
        () => passed.push("later"),
      );
    barriers.wait(
      () => open,
      () => {
        passed.push("first");
        open = false;
        later();
      },
    );
    open = true;
    barriers.pass();
    expect(passed).toEqual(["first"]);
    open = true;
    barriers.pass();
    expect(passed).toEqual(["first", "later"]);
  });
});
