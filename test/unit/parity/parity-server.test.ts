import { describe, expect, it } from "vitest";
import {
  FrameType,
  PageStatus,
  ResultStatus,
  Role,
  SERVER_INDEX_MAX,
  WireError,
} from "../../../proto/peer/index.ts";
import { Arena } from "../../../src/base/arena.ts";
import { limits } from "../../../src/base/limits.ts";
import { type Answer, pageOf, TestClient } from "../server/test-client.ts";
import { at, hexOf, identityOf, own, ParityClient, Rig, xorOf } from "./rig.ts";

const { OK, FULL, UNREACHABLE, MISSING, WRONG } = ResultStatus;

/** Pages 11, 12, 13 on servers 1, 2, 3; their group 100. */
function closedGroup(options: ConstructorParameters<typeof Rig>[0] = {}): { rig: Rig; client: ParityClient } {
  const rig = new Rig(options);
  for (const server of [1, 2, 3]) rig.putPages(server, [10 + server]);
  const client = new ParityClient(rig).introduce();
  client.close(
    100,
    [1, 2, 3].map((server) => rig.memberOf(10 + server, server)),
  );
  expect(client.settle().map((answer) => answer.type)).toEqual([FrameType.ACK]);
  return { rig, client };
}

const lost12 = (rig: Rig) => ({
  pageId: 12,
  slot: 7,
  checksum: rig.checksum(pageOf(12), 12),
  sources: [own(100), at(11, 1), at(13, 3)],
});

const members = (rig: Rig, group: number): [number, string][] => {
  const seen: [number, string][] = [];
  rig.core.visitMembers(hexOf(1), group, (pageId, _, server) => seen.push([pageId, server]));
  return seen;
};

describe("a parity server is a store of pages", () => {
  it("that says so in its HELLO, and takes clients only", () => {
    const rig = new Rig();
    const client = new ParityClient(rig);
    expect(client.put([1, 2]).ask().acks).toMatchObject([{ accepted: 2 }]);
    expect(
      client
        .get([1, 2])
        .ask()
        .metas.map((meta) => meta.status),
    ).toEqual([0, 0]);
    for (const role of [Role.SERVER, Role.PARITY]) {
      const peer = new TestClient(rig.core, { role }).hello().send();
      expect(peer.answers().at(-1)).toMatchObject({ type: FrameType.ERROR, aux: WireError.PROTOCOL });
    }
  });

  it("with the members of the groups beside it, which go with the page", () => {
    const { rig, client } = closedGroup();
    expect(members(rig, 100)).toEqual([1, 2, 3].map((server) => [10 + server, hexOf(server)]));
    expect(rig.core.snapshot()).toMatchObject({ groups: 1, pagesHeld: 1 });
    client.invalidate([100]).send();
    expect(rig.core.snapshot()).toMatchObject({ groups: 0, pagesHeld: 0 });
    expect(members(rig, 100)).toEqual([]);
  });

  it("whose groups without a page are not kept, and whose handles are listed", () => {
    const { rig, client } = closedGroup();
    const member = rig.memberOf(11, 1);
    client.groups({ group: 999, members: [member] }, { group: 100, members: [member], handle: 77 }).send();
    expect(rig.core.snapshot().groups).toBe(1);
    expect(members(rig, 100)).toEqual([[11, hexOf(1)]]);
    expect(client.list(0).ask().metas).toMatchObject([{ id: 100, slot: 77 }]);
  });

  it("whose groups go when the client leaves", () => {
    const { rig, client } = closedGroup();
    client.bare(FrameType.GOODBYE).send();
    rig.pass(200);
    expect(rig.core.snapshot()).toMatchObject({ groups: 0, pagesHeld: 0, clients: [] });
  });

  it("and needs enough work frames for the longest RECOVER", () => {
    expect(() => new Rig({ arena: new Arena(2 ** 22), workFrames: 100 })).toThrow(/work frames/);
  });
});

describe("RECOVER", () => {
  it("computes a page of what is left of its group", () => {
    const { rig, client } = closedGroup();
    rig.stopServer(2);
    const [answer] = client.recover([lost12(rig)], 5).settle();
    expect(answer).toMatchObject({ type: FrameType.PAGES, seq: 5 });
    const checksum = rig.checksum(pageOf(12), 12);
    expect(answer!.metas).toEqual([{ id: 12, slot: 7, checksum, status: PageStatus.OK }]);
    expect(Buffer.compare(answer!.pages.get(0)!, pageOf(12))).toBe(0);
    expect(rig.core.snapshot()).toMatchObject({ jobs: { running: 0, waiting: 0 }, links: 2 });
    expect(rig.core.snapshot().parity).toMatchObject({ recovered: 1, pagesFetched: 2, linksMade: 2 });
  });

  it("answers its entries in their order, those that could not be computed as missing", () => {
    const { rig, client } = closedGroup();
    rig.putPages(3, [31, 32]);
    rig.stopServer(2);
    const pages = [31, 32].map((pageId) => ({
      pageId,
      checksum: rig.checksum(pageOf(pageId), pageId),
      sources: [at(pageId, 3)],
    }));
    const gone = { ...lost12(rig), sources: [own(100), at(11, 1), at(99, 3)] };
    const wrong = { ...lost12(rig), checksum: 1 };
    const away = { ...lost12(rig), sources: [own(100), at(11, 2)] };
    const unknown = { ...lost12(rig), sources: [own(100), at(11, 9)] };
    const noParity = { ...lost12(rig), sources: [own(101), at(11, 1), at(13, 3)] };
    const entries = [pages[0]!, gone, wrong, lost12(rig), away, unknown, noParity, pages[1]!];
    const [answer] = client.recover(entries).settle();
    expect(answer!.metas.map((meta) => meta.id)).toEqual(entries.map((entry) => entry.pageId));
    expect(answer!.metas.map((meta) => meta.status)).toEqual([0, 1, 1, 0, 1, 1, 1, 0]);
    expect(answer!.metas[1]).toMatchObject({ slot: 0, checksum: 0 });
    for (const [i, id] of [
      [0, 31],
      [3, 12],
      [7, 32],
    ] as const) {
      expect(Buffer.compare(answer!.pages.get(i)!, pageOf(id))).toBe(0);
    }
    const { parity } = rig.core.snapshot();
    expect(parity).toMatchObject({ recovered: 3, missing: 2, wrong: 1, unreachable: 2 });
    expect(rig.warnings.at(-1)!.fields).toMatchObject({ client: "client", page: 12 });
  });

  it("does not reach another client's pages", () => {
    const { rig } = closedGroup();
    const other = new ParityClient(rig, { identity: 2 }).introduce();
    expect(other.recover([lost12(rig)]).statuses()).toEqual([PageStatus.MISSING]);
    const bare = { ...lost12(rig), sources: [at(12, 2)] };
    expect(other.recover([bare]).statuses()).toEqual([PageStatus.MISSING]);
  });

  it("asks each server once for all that a turn needs of it", () => {
    const { rig, client } = closedGroup();
    rig.stopServer(2);
    client.recover([lost12(rig)]).settle();
    for (let i = 0; i < 8; i += 1) client.recover([lost12(rig), lost12(rig), lost12(rig), lost12(rig)]);
    client.send();
    rig.core.flush();
    const page = 8 * 4;
    // One GETPAGE with 32 ids for each of two servers.
    expect(rig.wires.map((wire) => wire.out.queuedBytes)).toEqual([16 + page * 8, 16 + page * 8]);
    expect(client.statuses()).toEqual(Array(page).fill(PageStatus.OK));
  });
});

describe("REBUILD", () => {
  it("puts the page on another server, under its new id", () => {
    const { rig, client } = closedGroup();
    rig.stopServer(2);
    const [answer] = client.rebuild([{ ...lost12(rig), newPageId: 55, target: 4 }], 9).settle();
    const checksum = rig.checksum(pageOf(12), 55);
    expect(answer).toMatchObject({
      type: FrameType.RESULT,
      results: [{ seq: 9, index: 0, status: OK, checksum }],
    });
    const holder = new TestClient(rig.servers.get(4)!, { epoch: 0 }).enter();
    const got = holder.get([55]).ask();
    expect(got.metas).toEqual([{ id: 55, slot: 7, checksum, status: 0 }]);
    expect(Buffer.compare(got.pages.get(0)!, pageOf(12))).toBe(0);
    expect(rig.core.snapshot().parity.rebuilt).toBe(1);
  });

  it("says what went wrong: target full or away, wrong bytes, a source missing", () => {
    const { rig, client } = closedGroup();
    rig.startServer(4, { capacityFrames: 1 });
    rig.putPages(4, [1]);
    const good = { ...lost12(rig), newPageId: 55, target: 4 };
    const entries = [
      good,
      { ...good, target: 9 },
      { ...good, checksum: 3 },
      { ...good, sources: [own(100), at(11, 1)] },
      { ...good, sources: [own(100), at(17, 1)] },
    ];
    expect(client.rebuild(entries).statuses()).toEqual([FULL, UNREACHABLE, WRONG, WRONG, MISSING]);
    expect(rig.core.snapshot().parity).toMatchObject({ full: 1, unreachable: 1, wrong: 2, missing: 1 });
  });

  it("is UNREACHABLE when the target's link is lost before it has said that it holds the page", () => {
    const { rig, client } = closedGroup();
    rig.held.add(4);
    client.rebuild([{ ...lost12(rig), newPageId: 55, target: 4 }]);
    expect(client.settle()).toEqual([]);
    rig.stopServer(4);
    expect(client.statuses()).toEqual([UNREACHABLE]);
  });

  it("is UNREACHABLE, too, when earlier pages are not answered either", () => {
    const { rig, client } = closedGroup();
    const entry = { ...lost12(rig), target: 4 };
    expect(client.rebuild([{ ...entry, newPageId: 54 }]).statuses()).toEqual([OK]);
    rig.held.add(4);
    client.rebuild([{ ...entry, newPageId: 55 }]).settle();
    client.rebuild([{ ...entry, newPageId: 56 }]).settle();
    const wire = rig.wires.find((one) => one.identity === hexOf(4))!;
    rig.cut(wire);
    rig.held.clear();
    const results = client.settle().flatMap((answer) => answer.results);
    expect(results.map((result) => result.status)).toEqual([UNREACHABLE, UNREACHABLE]);
  });
});

describe("COMPOSE", () => {
  it("makes a new group of parity pages and members", () => {
    const { rig, client } = closedGroup();
    rig.putPages(4, [14]);
    const [m1, m3, m4] = [rig.memberOf(11, 1), rig.memberOf(13, 3), rig.memberOf(14, 4)];
    // 12 leaves, 14 joins.
    const entry = { group: 200, handle: 5, members: [m1, m3, m4], sources: [own(100), at(12, 2), at(14, 4)] };
    const [answer] = client.compose([entry], 9).settle();
    expect(answer!.results).toEqual([{ seq: 9, index: 0, status: OK, checksum: 0 }]);
    const sum = xorOf(pageOf(11), pageOf(13), pageOf(14));
    const got = client.get([200]).ask();
    expect(got.metas).toEqual([{ id: 200, slot: 5, checksum: rig.checksum(sum, 200), status: 0 }]);
    expect(Buffer.compare(got.pages.get(0)!, sum)).toBe(0);
    expect(members(rig, 200).map(([id]) => id)).toEqual([11, 13, 14]);
    expect(rig.core.snapshot()).toMatchObject({ groups: 2, parity: { composed: 1 } });
  });

  it("is done at once when the group is held, and merges without a memory server", () => {
    const { rig, client } = closedGroup();
    rig.putPages(4, [14]);
    client.close(101, [rig.memberOf(14, 4)]).settle();
    const all = [rig.memberOf(11, 1), rig.memberOf(12, 2), rig.memberOf(13, 3), rig.memberOf(14, 4)];
    const merge = { group: 200, members: all, sources: [own(100), own(101)] };
    expect(client.compose([merge]).statuses()).toEqual([OK]);
    // The old groups are gone; a repeated COMPOSE has nothing to do with its sources.
    client.invalidate([100, 101]).send();
    expect(client.compose([merge]).statuses()).toEqual([OK]);
    expect(rig.wanted).toEqual([]);
    const sum = xorOf(...[11, 12, 13, 14].map((id) => pageOf(id)));
    expect(Buffer.compare(client.get([200]).ask().pages.get(0)!, sum)).toBe(0);
  });

  it("makes nothing of a page whose bytes are not what was put, be it dead or an old parity page", () => {
    const { rig, client } = closedGroup();
    const server = new TestClient(rig.servers.get(2)!, { epoch: 0 }).enter();
    server.checksumOf = (id) => rig.checksum(pageOf(id), id);
    server.put([12], 1).ask();
    client.checksumOf = (id) => rig.checksum(pageOf(id), id);
    client.put([101], 1).ask();
    const members = [rig.memberOf(11, 1), rig.memberOf(13, 3)];
    const byDeadPage = { group: 200, members, sources: [own(100), at(12, 2)] };
    const byParity = { group: 201, members: [members[0]!], sources: [own(101)] };
    expect(client.compose([byDeadPage, byParity]).statuses()).toEqual([WRONG, WRONG]);
  });

  it("sent twice at the same time comes to one group", () => {
    const { rig, client } = closedGroup();
    const second = new ParityClient(rig).introduce();
    const entry = { group: 200, members: [rig.memberOf(11, 1)], sources: [own(100), at(12, 2), at(13, 3)] };
    client.compose([entry, entry]).send();
    second.compose([entry]).send();
    expect(client.statuses()).toEqual([OK, OK]);
    expect(second.statuses()).toEqual([OK]);
    expect(rig.core.snapshot()).toMatchObject({ groups: 2, pagesHeld: 2 });
  });

  it("says what went wrong: no room, a source missing or out of reach, bytes that are not the member's", () => {
    const { rig, client } = closedGroup({ capacityFrames: 2 });
    const join = { group: 200, members: [rig.memberOf(11, 1)], sources: [at(11, 1)] };
    const bad = { ...rig.memberOf(11, 1), checksum: 1 };
    const entries = [
      { ...join, sources: [own(300)] },
      { ...join, sources: [at(17, 1)] },
      { ...join, sources: [at(11, 9)] },
      { ...join, members: [bad] },
      { ...join, group: 201 },
      { ...join, group: 202 },
    ];
    expect(client.compose(entries).statuses()).toEqual([MISSING, MISSING, UNREACHABLE, WRONG, OK, FULL]);
    expect(rig.core.capacity.free).toBe(0);
    // Full before it begins: nothing is fetched for it.
    expect(client.compose([{ ...join, group: 203 }]).statuses()).toEqual([FULL]);
    expect(rig.core.snapshot().parity.pagesFetched).toBe(3);
  });
});

describe("links to memory servers", () => {
  it("are made once for a client and server, and dropped when idle", () => {
    const { rig, client } = closedGroup();
    client.recover([lost12(rig)]).settle();
    client.recover([lost12(rig)]).settle();
    expect(rig.wanted).toHaveLength(2);
    rig.pass(limits.parityLinkIdleMs + 200);
    expect(rig.core.snapshot()).toMatchObject({ links: 0, parity: { linksLost: 0 } });
    expect(rig.wires).toEqual([]);
    expect(client.recover([lost12(rig)]).statuses()).toEqual([PageStatus.OK]);
    expect(rig.wanted).toHaveLength(4);
  });

  it("that nobody makes fail their jobs after a second, and what comes soon after at once", () => {
    const { rig, client } = closedGroup();
    rig.reach = "silent";
    client.recover([lost12(rig)]);
    client.compose([{ group: 200, members: [rig.memberOf(11, 1)], sources: [at(11, 1)] }]);
    expect(client.settle()).toEqual([]);
    rig.pass(limits.parityLinkWaitMs - 100);
    expect(client.settle()).toEqual([]);
    rig.pass(200);
    const answers = client.settle();
    expect(answers.map((answer) => answer.type).sort()).toEqual([FrameType.PAGES, FrameType.RESULT].sort());
    expect(client.recover([lost12(rig)]).statuses()).toEqual([PageStatus.MISSING]);
    rig.reach = "yes";
    rig.pass(limits.parityLinkRetryMs + 100);
    expect(client.recover([lost12(rig)]).statuses()).toEqual([PageStatus.OK]);
  });

  it("that are lost fail their jobs at once, and the next ones find a new link", () => {
    const { rig, client } = closedGroup();
    client.recover([lost12(rig)]).settle();
    rig.held.add(3);
    const compose = { group: 200, members: [rig.memberOf(11, 1)], sources: [at(11, 1), at(13, 3)] };
    client.compose([compose]);
    expect(client.settle()).toEqual([]);
    for (const wire of rig.wires.filter((one) => one.identity === hexOf(3))) rig.cut(wire);
    rig.held.clear();
    expect(client.statuses()).toEqual([UNREACHABLE]);
    expect(rig.core.snapshot().parity.linksLost).toBe(1);
    expect(client.compose([{ ...compose, sources: [own(100), at(12, 2), at(13, 3)] }]).statuses()).toEqual([
      OK,
    ]);
    expect(rig.core.snapshot().jobs).toEqual({ running: 0, waiting: 0 });
  });

  it("that fall silent with something outstanding are given up", () => {
    const { rig, client } = closedGroup();
    client.recover([lost12(rig)]).settle();
    rig.held.add(3);
    client.recover([lost12(rig)]).settle();
    rig.pass(limits.linkSilenceMsMax + 200);
    expect(client.statuses()).toEqual([PageStatus.MISSING]);
    expect(rig.core.snapshot().parity.linksLost).toBe(1);
  });

  it("that lead to another server than the one that was meant are not used", () => {
    const { rig, client } = closedGroup();
    rig.startServer(3, { identity: identityOf(33) });
    expect(client.recover([lost12(rig)]).statuses()).toEqual([PageStatus.MISSING]);
  });

  it("end with their client", () => {
    const { rig, client } = closedGroup();
    client.recover([lost12(rig)]).settle();
    client.bare(FrameType.GOODBYE).send();
    rig.pass(200);
    expect(rig.wires).toEqual([]);
    expect(rig.core.snapshot().links).toBe(0);
  });

  it("that are not wanted are refused to the driver", () => {
    const { rig } = closedGroup();
    expect(() => rig.connect(hexOf(1), hexOf(2), rig.servers.get(2)!)).toThrow(/not wanted/);
    rig.core.unreachable(hexOf(9), hexOf(2));
  });
});

describe("a connection that ends", () => {
  it("takes its jobs with it, and leaves no frame behind", () => {
    const { rig, client } = closedGroup();
    rig.held.add(3);
    const rebuild = { ...lost12(rig), newPageId: 55, target: 3 };
    client.recover([lost12(rig)]).rebuild([{ ...rebuild, sources: [at(12, 2)] }, rebuild]);
    client.compose([{ group: 200, members: [rig.memberOf(11, 1)], sources: [at(13, 3)] }]);
    client.settle();
    expect(rig.core.snapshot().jobs.running).toBe(4);
    client.connection.disconnected();
    expect(rig.core.snapshot()).toMatchObject({ jobs: { running: 0, waiting: 0 }, parity: { dropped: 4 } });
    rig.held.clear();
    rig.pump();
    expect(rig.core.frames.used).toBe(0);
    expect(rig.core.snapshot()).toMatchObject({ groups: 1, pagesHeld: 1 });
  });

  it("takes what has not begun with it, too", () => {
    const { rig, client } = closedGroup();
    const second = new ParityClient(rig).introduce();
    client.feed(client.recover([lost12(rig)]).script.take());
    second.feed(second.recover([lost12(rig)]).script.take());
    expect(rig.core.snapshot().jobs.waiting).toBe(2);
    client.connection.disconnected();
    expect(rig.core.snapshot().jobs.waiting).toBe(1);
    expect(second.statuses()).toEqual([PageStatus.OK]);
  });
});

describe("what breaks the protocol", () => {
  const refused = (make: (client: ParityClient, rig: Rig) => void, text: RegExp): void => {
    const { rig, client } = closedGroup();
    make(client, rig);
    const last = client.settle().at(-1) as Answer;
    expect(last).toMatchObject({ type: FrameType.ERROR, aux: WireError.PROTOCOL });
    expect(last.text).toMatch(text);
    expect(rig.core.snapshot().jobs).toEqual({ running: 0, waiting: 0 });
  };

  it("ends the connection with an ERROR", () => {
    const member = { pageId: 1, checksum: 1, server: 1 };
    const lost = { pageId: 1, checksum: 1, sources: [at(1, 1)] };
    const nine = Array.from({ length: 9 }, (_, i) => at(i + 1, 1));
    refused((client) => client.groups({ group: 100, members: [] }), /0 members/);
    refused((client) => client.compose([{ group: 1, members: [], sources: [own(1)] }]), /0 members/);
    refused((client) => client.compose([{ group: 2, members: [member], sources: [] }]), /0 sources/);
    refused((client) => client.recover([{ ...lost, sources: [] }]), /0 sources/);
    refused((client) => client.recover([lost, { ...lost, sources: nine }]), /9 sources/);
    refused((client) => client.rebuild([{ ...lost, newPageId: 2, target: 0xffff }]), /index 65535/);
    refused((client) => client.rebuild([lost, { ...lost, slot: 2 ** 31, newPageId: 2, target: 1 }]), /slot/);
    refused((client) => client.introduce([SERVER_INDEX_MAX + 1]), /index 4096/);
    refused((client) => client.bare(FrameType.RESULT), /RESULT/);
  });

  it("is none of a memory server's frames", () => {
    const rig = new Rig();
    const client = new TestClient(rig.servers.get(1)!).enter();
    client.bare(FrameType.SERVERS).script.view.setUint16(2, 1, true);
    client.script.view.setUint32(4, 24, true);
    client.script.reserve(24);
    expect(client.ask()).toMatchObject({ type: FrameType.ERROR, aux: WireError.PROTOCOL });
  });
});
