import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameType, PageStatus, ResultStatus, WireError } from "../../../proto/peer/index.ts";
import { HeapBlockPool } from "../../../src/base/blocks.ts";
import { limits } from "../../../src/base/limits.ts";
import { pageOf } from "../server/test-client.ts";
import { at, own, ParityClient, Rig, xorOf } from "./rig.ts";

const pages = (rig: Rig): void => {
  for (const server of [1, 2, 3]) rig.putPages(server, [10 + server]);
};

const recoverOf = (rig: Rig, pageId: number, server: number) => ({
  pageId,
  checksum: rig.checksum(pageOf(pageId), pageId),
  sources: [at(pageId, server)],
});

describe("a client that sends and does not wait", () => {
  it("is left unread at so many entries of COMPOSE, and goes on when they are answered", () => {
    const rig = new Rig({ capacityFrames: 4096 });
    pages(rig);
    const client = new ParityClient(rig).introduce();
    client.settle();
    const member = rig.memberOf(11, 1);
    const frames = 200;
    for (let i = 0; i < frames; i += 1) {
      const groups = Array.from({ length: 8 }, (_, g) => 1000 + 8 * i + g);
      client.compose(groups.map((group) => ({ group, members: [member], sources: [at(11, 1)] })));
    }
    const bytes = client.script.take();
    let taken = client.feed(bytes);
    expect(client.connection.stalled).toBe(true);
    expect(rig.core.snapshot().jobs.waiting).toBe(limits.parityJobsPerConnectionMax);
    const statuses: number[] = [];
    for (let turn = 0; turn < frames && statuses.length < 8 * frames; turn += 1) {
      rig.pump();
      for (const answer of client.answers()) statuses.push(...answer.results.map((result) => result.status));
      client.connection.resume();
      taken += client.feed(bytes.subarray(taken));
      expect(rig.core.snapshot().jobs.waiting).toBeLessThanOrEqual(limits.parityJobsPerConnectionMax);
    }
    expect(statuses).toEqual(Array(8 * frames).fill(ResultStatus.OK));
    expect(rig.core.snapshot().groups).toBe(8 * frames);
  });

  it("has its RECOVERs done before its COMPOSEs", () => {
    const rig = new Rig();
    pages(rig);
    const client = new ParityClient(rig).introduce();
    const member = rig.memberOf(11, 1);
    client.recover([recoverOf(rig, 13, 3)]).settle();
    // More than there are work frames for at a time.
    const wide = Array.from({ length: 16 }, () => at(11, 1));
    for (let i = 0; i < 32; i += 1) {
      const groups = Array.from({ length: 8 }, (_, g) => 1000 + 8 * i + g);
      client.compose(groups.map((group) => ({ group, members: [member], sources: wide })));
    }
    client.send();
    rig.held.add(1);
    rig.pump();
    expect(client.answers()).toEqual([]);
    const readers = Array.from({ length: 16 }, () => recoverOf(rig, 13, 3));
    const answers = client.recover(readers).settle();
    expect(answers.map(({ type, pages }) => [type, pages.size])).toEqual([[FrameType.PAGES, 16]]);
    expect(rig.core.snapshot().jobs.waiting).toBeGreaterThan(200);
    rig.held.clear();
    expect(client.settle().flatMap((answer) => answer.results)).toHaveLength(256);
  });

  it("of RECOVERs and does not read is left unread, and answers stay within their memory", () => {
    const pool = new HeapBlockPool(64, limits.dataBlockBytes);
    const rig = new Rig({ blocks: { pool, soft: 32, max: 64 }, queueBytesSoft: 256 * 1024 });
    pages(rig);
    const client = new ParityClient(rig, {}, pool).introduce();
    const entry = recoverOf(rig, 11, 1);
    for (let i = 0; i < 100; i += 1) client.recover(Array(16).fill(entry));
    const bytes = client.script.take();
    let taken = client.feed(bytes);
    for (let turn = 0; turn < 20; turn += 1) {
      rig.pump();
      client.connection.resume();
      taken += client.feed(bytes.subarray(taken));
    }
    expect(client.connection.closed).toBeUndefined();
    expect(client.connection.stalled).toBe(true);
    expect(pool.taken).toBeLessThanOrEqual(64);
    let found = 0;
    for (let turn = 0; turn < 200 && found < 1600; turn += 1) {
      for (const answer of client.answers()) found += answer.pages.size;
      client.connection.resume();
      taken += client.feed(bytes.subarray(taken));
      rig.pump();
    }
    expect(found).toBe(1600);
    expect(rig.core.frames.used).toBe(0);
  });

  it("is disconnected when there is no memory for the answer to its reader", () => {
    const pool = new HeapBlockPool(4, limits.dataBlockBytes);
    const rig = new Rig({ blocks: { pool, soft: 4, max: 4 } });
    pages(rig);
    const client = new ParityClient(rig, {}, pool).introduce();
    const last = client
      .recover([recoverOf(rig, 11, 1)])
      .settle()
      .at(-1);
    expect(last).toMatchObject({ type: FrameType.ERROR, aux: WireError.TOO_MANY_CONNECTIONS });
    expect(rig.core.frames.used).toBe(0);
  });

  it("cannot have servers numbered without end", () => {
    const rig = new Rig();
    pages(rig);
    const client = new ParityClient(rig);
    for (let round = 0; round < 300; round += 1) {
      client.introduce(Array.from({ length: 64 }, (_, i) => (i * 7 + round) % 4096));
    }
    client.introduce([1]).recover([recoverOf(rig, 11, 1)]);
    expect(client.statuses()).toEqual([PageStatus.OK]);
    // Every index means one.
    expect(rig.core.snapshot().servers).toBeLessThanOrEqual(256);
    client.connection.disconnected();
    rig.pass(limits.parityLinkIdleMs + 1000);
    expect(rig.core.snapshot().servers).toBe(0);
  });
});

describe("whatever happens to links and connections", () => {
  const step = fc.record({
    what: fc.constantFrom(
      "recover",
      "compose",
      "rebuild",
      "cut",
      "stop",
      "start",
      "hold",
      "free",
      "pass",
      "leave",
      "drop",
    ),
    server: fc.integer({ min: 1, max: 4 }),
    who: fc.nat(1),
    some: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
    ms: fc.nat(3000),
  });

  it("every request of a connection that stays is answered, rightly, and no frame is lost", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const rig = new Rig({ capacityFrames: 40, scrubPerTick: 1 });
        const put = (server: number): void => {
          for (const identity of [1, 2]) rig.putPages(server, [10 + server], identity);
        };
        for (const server of [1, 2, 3, 4]) put(server);
        const clients = [1, 2].map((identity) => new ParityClient(rig, { identity }).introduce());
        const owed = [0, 0];
        let group = 1000;
        const all = [1, 2, 3, 4].map((server) => rig.memberOf(10 + server, server));
        for (const client of clients) client.close(100, all).settle();
        const count = (who: number): void => {
          for (const answer of clients[who]!.answers()) {
            owed[who]! -= answer.results.length;
            if (answer.type !== FrameType.PAGES) continue;
            owed[who]! -= answer.metas.length;
            for (const [i, page] of answer.pages) {
              expect(Buffer.compare(page, pageOf(answer.metas[i]!.id))).toBe(0);
            }
          }
        };
        for (const { what, server, who, some, ms } of steps) {
          const client = clients[who]!;
          const others = all.filter((member) => member.server !== server);
          const lost = {
            pageId: 10 + server,
            checksum: rig.checksum(pageOf(10 + server), 10 + server),
            sources: [own(100), ...others.map((member) => at(member.pageId, member.server))],
          };
          if (what === "recover") client.recover(some.map(() => lost));
          else if (what === "rebuild") {
            group += some.length;
            client.rebuild(some.map((target, i) => ({ ...lost, newPageId: group - i, target })));
          } else if (what === "compose") {
            group += some.length;
            const sources = [own(100), at(10 + server, server)];
            client.compose(some.map((_, i) => ({ group: group - i, members: others, sources })));
          } else if (what === "cut" && rig.wires.length > 0) rig.cut(rig.wires[server % rig.wires.length]!);
          else if (what === "stop") rig.stopServer(server);
          else if (what === "start" && !rig.servers.has(server)) {
            rig.startServer(server);
            put(server);
          } else if (what === "hold") rig.held.add(server);
          else if (what === "free") rig.held.clear();
          else if (what === "pass") rig.pass(ms);
          else if (what === "leave") {
            client.connection.disconnected();
            clients[who] = new ParityClient(rig, { identity: who + 1 }).introduce();
            owed[who] = 0;
          } else if (what === "drop") client.invalidate([group, group - 1]);
          if (what === "recover" || what === "rebuild" || what === "compose") owed[who]! += some.length;
          if (ms % 2 === 0) {
            for (const one of clients) one.send();
            rig.pump();
          }
          count(0);
          count(1);
        }
        rig.held.clear();
        for (const client of clients) client.send();
        rig.pass(limits.linkAnswerMsMax / 3);
        count(0);
        count(1);
        expect(owed).toEqual([0, 0]);
        expect(rig.core.snapshot()).toMatchObject({
          jobs: { running: 0, waiting: 0 },
          scrub: { mismatches: 0 },
        });
        // Every group that was composed adds up, and what is known of servers goes with the clients.
        const page = new Uint8Array(4096);
        rig.core.visitPages((_, id, __, frame) => {
          if (id < 1000) return;
          const members: number[] = [];
          for (const who of [1, 2]) {
            const client = new Uint8Array(16).fill(who);
            rig.core.visitMembers(Buffer.from(client).toString("hex"), id, (pageId) => members.push(pageId));
          }
          rig.core.readFrame(frame, page, 0);
          expect(Buffer.compare(page, xorOf(...members.map((pageId) => pageOf(pageId))))).toBe(0);
        });
        for (const client of clients) client.bare(FrameType.GOODBYE).send();
        rig.pass(limits.parityLinkIdleMs + 1000);
        expect(rig.core.snapshot()).toMatchObject({ servers: 0, groups: 0, links: 0, pagesHeld: 0 });
      }),
      { numRuns: 40 },
    );
  });
});
