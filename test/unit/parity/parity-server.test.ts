import { expect, it } from "vitest";
import { Arena } from "../../../src/base/arena.ts";
import { ParityServerCore } from "../../../src/parity/parity-server.ts";

it("is a store of pages", () => {
  const core = new ParityServerCore({
    arena: new Arena(2 ** 22),
    port: { wanted() {}, linkClosed() {} },
    identity: new Uint8Array(16).fill(1),
    name: "parity",
    capacityFrames: 8,
    nonce: () => new Uint8Array(32),
    hashSeed: 1,
  });
  expect(core.capacity).toEqual({ free: 8, limit: 8, used: 0 });
});
