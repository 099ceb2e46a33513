import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { roomNeeded } from "../../../src/redundancy/room-needed.ts";

describe("the room that a device needs", () => {
  it("is each page once, or twice", () => {
    expect(roomNeeded("none", 1000, 4)).toEqual({ servers: 1000, parity: 0 });
    expect(roomNeeded("mirror", 1000, 4)).toEqual({ servers: 2000, parity: 0 });
  });

  it("has room for dead pages and parity beside the live ones, up to where they are reclaimed", () => {
    expect(roomNeeded("parity", 1000, 4)).toEqual({ servers: 1536, parity: 384 });
    for (let groupSize = 2; groupSize <= limits.groupMembersMax; groupSize += 1) {
      const { servers, parity } = roomNeeded("parity", 100_000, groupSize);
      expect((servers + parity) / 100_000).toBeCloseTo(1 + limits.reclaimShare, 3);
      expect(parity * groupSize).toBeGreaterThanOrEqual(servers);
    }
    expect(roomNeeded("parity", 1000, 1)).toEqual({ servers: 1000, parity: 1000 });
  });
});
