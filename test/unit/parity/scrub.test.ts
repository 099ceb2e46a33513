import { expect, it, vi } from "vitest";
import { FrameType, MISMATCHES_PER_FRAME_MAX } from "../../../proto/peer/index.ts";
import { limits } from "../../../src/base/limits.ts";
import { ParityRequests } from "../../../src/parity/parity-requests.ts";
import { pageOf, TestClient } from "../server/test-client.ts";
import { hexOf, ParityClient, Rig } from "./rig.ts";

/** `count` groups of three pages each, on servers 1, 2, 3: group g has pages 10 g + 1, 10 g + 2, 10 g + 3. */
function manyGroups(count: number, options: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig(options);
  const client = new ParityClient(rig).introduce();
  for (let group = 1; group <= count; group += 1) {
    const servers = [1, 2, 3];
    for (const server of servers) rig.putPages(server, [10 * group + server]);
    client.close(
      10 * group,
      servers.map((server) => rig.memberOf(10 * group + server, server)),
    );
  }
  client.settle();
  client.connection.disconnected();
  return rig;
}

/** Other bytes in the place of a page, as a memory server with broken memory has them. */
function spoil(rig: Rig, server: number, pageId: number): void {
  const client = new TestClient(rig.servers.get(server)!, { epoch: 0 }).enter();
  client.checksumOf = (id) => rig.checksum(pageOf(id), id);
  client.put([pageId], 1).ask();
  client.connection.disconnected();
}

const scrub = (rig: Rig) => rig.core.snapshot().scrub;

it("a pass that is asked for looks at every group, and ends", () => {
  const rig = manyGroups(20);
  expect(scrub(rig)).toMatchObject({ running: false, passes: 0, end: 20 });
  rig.core.scrub();
  expect(scrub(rig)).toMatchObject({ running: true, position: 0 });
  rig.pump();
  expect(scrub(rig)).toMatchObject({ running: false, scrubbed: 20, skipped: 0, mismatches: 0, passes: 1 });
  rig.core.scrub();
  rig.pump();
  expect(scrub(rig)).toMatchObject({ running: false, scrubbed: 40, passes: 2 });
});

it("a pass over nothing ends, too", () => {
  const rig = new Rig();
  rig.core.scrub();
  rig.pump();
  expect(scrub(rig)).toMatchObject({ running: false, passes: 1, end: 0 });
});

it("in the background a few groups are looked at, round and round", () => {
  const rig = manyGroups(5, { scrubPerTick: 1 });
  rig.pass(3 * limits.tickMs);
  expect(scrub(rig)).toMatchObject({ running: false, scrubbed: 3, passes: 0 });
  rig.pass(20 * limits.tickMs);
  expect(scrub(rig).scrubbed).toBeGreaterThanOrEqual(15);
  expect(scrub(rig).passes).toBeGreaterThanOrEqual(2);
});

it("a wrong page is named, after a second look", () => {
  const rig = manyGroups(3);
  spoil(rig, 2, 22);
  rig.core.scrub();
  rig.pump();
  expect(scrub(rig)).toMatchObject({ running: false, scrubbed: 2, skipped: 0, mismatches: 1, passes: 1 });
  expect(rig.core.snapshot().parity.pagesFetched).toBe(12);
  expect(rig.warnings).toEqual([
    {
      message: "the pages of a parity group do not add up",
      fields: { client: "client", group: 20, wrong: `22 at ${hexOf(2)}` },
    },
  ]);
});

it("a wrong parity page is found, too", () => {
  const rig = manyGroups(1);
  const client = new ParityClient(rig).introduce();
  client.putParity(10, pageOf(1)).settle();
  rig.core.scrub();
  rig.pump();
  expect(scrub(rig)).toMatchObject({ mismatches: 1 });
  expect(rig.warnings[0]!.fields).toMatchObject({ group: 10, wrong: "parity page, or its list of members" });
});

it("the client is told, with the handle that it gave; others are not", () => {
  const rig = manyGroups(3);
  const client = new ParityClient(rig).introduce();
  client.groups({
    group: 20,
    handle: 7,
    members: [1, 2, 3].map((server) => rig.memberOf(20 + server, server)),
  });
  client.putParity(30, pageOf(1)).settle();
  const other = new ParityClient(rig, { identity: 2 });
  other.settle();
  spoil(rig, 2, 22);
  rig.core.scrub();
  rig.pump();
  const told = client.settle().flatMap(({ mismatches }) => mismatches);
  expect(told.sort((a, b) => a.groupId - b.groupId)).toEqual([
    { groupId: 20, pageId: 22, handle: 7 },
    { groupId: 30, pageId: 30, handle: 0 },
  ]);
  expect(other.settle()).toEqual([]);
  expect(client.settle()).toEqual([]);
});

it("a client that does not read was told more and more", () => {
  const rig = manyGroups(100, { capacityFrames: 128 });
  const client = new ParityClient(rig).introduce();
  client.settle();
  for (let group = 1; group <= 100; group += 1) spoil(rig, 2, 10 * group + 2);
  for (let pass = 0; pass < 10; pass += 1) {
    rig.core.scrub();
    rig.pump();
  }
  expect(scrub(rig).mismatches).toBe(1_000);
  const told = client.settle().flatMap(({ mismatches }) => mismatches);
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThanOrEqual(2 * MISMATCHES_PER_FRAME_MAX);
});

it("a page whose checksum went bad in its server's memory was taken for right, and its parity page for wrong", () => {
  const rig = manyGroups(1);
  const client = new ParityClient(rig).introduce();
  client.settle();
  const other = new TestClient(rig.servers.get(2)!, { epoch: 0 }).enter();
  other.checksumOf = (id) => rig.checksum(pageOf(id), id) ^ 1;
  other.put([12]).ask();
  other.connection.disconnected();
  rig.core.scrub();
  rig.pump();
  const told = client.settle().flatMap(({ mismatches }) => mismatches);
  expect(told).toMatchObject([{ groupId: 10, pageId: 12 }]);
});

it("connections that are over are not told, nor kept", () => {
  const rig = manyGroups(1);
  const gone = new ParityClient(rig).introduce();
  gone.settle();
  const mismatch = vi.spyOn(ParityRequests.prototype, "mismatch");
  try {
    gone.connection.disconnected();
    spoil(rig, 2, 12);
    rig.core.scrub();
    rig.pump();
    expect(scrub(rig).mismatches).toBe(1);
    expect(mismatch).not.toHaveBeenCalled();
  } finally {
    mismatch.mockRestore();
  }
});

it("what is right at the second look is no mismatch", () => {
  const rig = manyGroups(1);
  spoil(rig, 2, 12);
  rig.core.scrub();
  rig.held.add(2);
  rig.pump();
  const heal = new TestClient(rig.servers.get(2)!, { epoch: 0 }).enter();
  heal.checksumOf = (id) => rig.checksum(pageOf(id), id);
  heal.put([12], 0).ask();
  rig.held.clear();
  rig.pump();
  expect(scrub(rig)).toMatchObject({ scrubbed: 1, mismatches: 0, passes: 1 });
});

it("a group that is dropped or changed meanwhile is no mismatch", () => {
  for (const change of ["drop", "members"]) {
    const rig = manyGroups(1);
    spoil(rig, 2, 12);
    // The link stands, so that what is held back is the page.
    rig.core.scrub();
    rig.pump();
    expect(scrub(rig).mismatches).toBe(1);
    rig.core.scrub();
    rig.held.add(2);
    rig.pump();
    const client = new ParityClient(rig).introduce();
    if (change === "drop") client.invalidate([10]).send();
    else client.groups({ group: 10, members: [rig.memberOf(11, 1)] }).send();
    rig.held.clear();
    rig.pump();
    expect(scrub(rig)).toMatchObject({ running: false, mismatches: 1, skipped: 1, passes: 2 });
  }
});

it("groups with a member that is missing, or whose server cannot be reached, are passed over", () => {
  const rig = manyGroups(100, { capacityFrames: 128 });
  const client = new TestClient(rig.servers.get(1)!, { epoch: 0 }).enter();
  client.invalidate([11, 21]).send();
  rig.core.scrub();
  rig.pump();
  expect(scrub(rig)).toMatchObject({
    running: false,
    scrubbed: 98,
    skipped: 2,
    unreachable: 0,
    mismatches: 0,
  });
  rig.stopServer(3);
  rig.core.scrub();
  rig.pump();
  rig.pass(500);
  expect(scrub(rig)).toMatchObject({ running: false, scrubbed: 98, skipped: 102, mismatches: 0, passes: 2 });
  expect(scrub(rig).unreachable).toBeGreaterThan(97);
  expect(rig.warnings).toEqual([]);
});

it("a client that leaves takes its groups out of a pass", () => {
  const rig = manyGroups(4);
  rig.held.add(3);
  rig.core.scrub();
  rig.pump();
  const client = new ParityClient(rig);
  client.bare(FrameType.GOODBYE).send();
  rig.pass(limits.parityLinkWaitMs + 500);
  expect(scrub(rig)).toMatchObject({ running: false, mismatches: 0, scrubbed: 0 });
  expect(rig.core.frames.used).toBe(0);
});

it("a store that was empty meanwhile is looked at from its first frame on again", () => {
  const rig = manyGroups(20, { scrubPerTick: 1 });
  rig.pass(15 * limits.tickMs);
  expect(scrub(rig)).toMatchObject({ position: 15, end: 20 });
  const { store } = rig.core;
  for (let group = 1; group <= 20; group += 1) store.drop(store.find(0, 10 * group, 0));
  expect(scrub(rig)).toMatchObject({ position: 0, end: 0 });
  rig.pass(limits.tickMs);
  const before = scrub(rig);
  const client = new ParityClient(rig).introduce();
  for (let group = 31; group <= 48; group += 1) {
    for (const server of [1, 2, 3]) rig.putPages(server, [10 * group + server]);
    client.close(
      10 * group,
      [1, 2, 3].map((server) => rig.memberOf(10 * group + server, server)),
    );
  }
  client.settle();
  rig.pass(19 * limits.tickMs);
  expect(scrub(rig)).toMatchObject({ scrubbed: before.scrubbed + 18, passes: before.passes + 1 });
});
