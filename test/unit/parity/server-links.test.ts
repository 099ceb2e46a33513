import { describe, expect, it } from "vitest";
import { PageStatus, ResultStatus } from "../../../proto/peer/index.ts";
import { limits } from "../../../src/base/limits.ts";
import { pageOf } from "../server/test-client.ts";
import { at, hexOf, type Lost, ParityClient, Rig, xorOf } from "./rig.ts";

const servers = [1, 2, 3, 4, 5, 6, 7, 8];

/** A page made from one on each server. */
const lostOf = (rig: Rig): Lost => ({
  pageId: 99,
  checksum: rig.checksum(xorOf(...servers.map((server) => pageOf(10 + server))), 99),
  sources: servers.map((server) => at(10 + server, server)),
});

/** So many clients, each with a page on each server. */
function clientsOf(rig: Rig, count: number): ParityClient[] {
  return Array.from({ length: count }, (_, i) => {
    for (const server of servers) rig.putPages(server, [10 + server], i + 1);
    return new ParityClient(rig, { identity: i + 1 }).introduce(servers);
  });
}

const readAll = (rig: Rig, clients: ParityClient[]): void => {
  for (const client of clients) expect(client.recover([lostOf(rig)]).statuses()).toEqual([PageStatus.OK]);
};

it("links that fall idle together ask for a sign of life together, and none is dropped for it", () => {
  const rig = new Rig({ capacityFrames: 4096 }, servers.length);
  const clients = clientsOf(rig, limits.parityLinksMax / servers.length);
  readAll(rig, clients);
  rig.pass(2 * limits.linkPingMs);
  const { parity, links } = rig.core.snapshot();
  expect({ lost: parity.linksLost, links }).toEqual({ lost: 0, links: limits.parityLinksMax });
});

describe("when there are as many links as may be", () => {
  it("a reader of one client more gets those that were used longest ago", () => {
    const rig = new Rig({}, servers.length);
    const clients = clientsOf(rig, limits.parityLinksMax / servers.length + 1);
    const last = clients.pop()!;
    readAll(rig, clients);
    rig.pass(1_000);
    readAll(rig, clients.slice(1));
    rig.pass(1_000);
    readAll(rig, [last]);
    expect(rig.core.snapshot().links).toBe(limits.parityLinksMax);
    rig.wanted.length = 0;
    readAll(rig, clients.slice(1));
    expect(rig.wanted).toEqual([]);
  });

  it("other work of one client more was never done: it got no link as long as those of others were in use", () => {
    const rig = new Rig({ capacityFrames: 4096 }, servers.length);
    const clients = clientsOf(rig, limits.parityLinksMax / servers.length + 1);
    const last = clients.pop()!;
    const members = servers.map((server) => rig.memberOf(10 + server, server));
    const sources = servers.map((server) => at(10 + server, server));
    const compose = (): number[] => last.compose([{ group: 50, members, sources }]).statuses();
    for (let i = 0; i < 2; i += 1) {
      readAll(rig, clients);
      // What was used just now is left to those who use it.
      expect(compose()).toEqual([ResultStatus.UNREACHABLE]);
      rig.pass(limits.parityLinkWaitMs / 2);
    }
    rig.pass(limits.parityLinkWaitMs / 2);
    expect(compose()).toEqual([ResultStatus.OK]);
    expect(rig.core.snapshot().links).toBe(limits.parityLinksMax);
  });

  it("a page that is rebuilt may take the place of the very link that its source came over", () => {
    const rig = new Rig({ capacityFrames: 4096 }, servers.length + 1);
    const clients = clientsOf(rig, limits.parityLinksMax / servers.length);
    const [rebuilding, ...others] = clients as [ParityClient, ...ParityClient[]];
    const target = servers.length + 1;
    rebuilding.introduce([...servers, target]);
    readAll(rig, clients);
    rig.held.add(1);
    const entry = { pageId: 11, checksum: rig.checksum(pageOf(11), 11), sources: [at(11, 1)] };
    rebuilding.rebuild([{ ...entry, newPageId: 50, target }]).settle();
    for (const client of others) client.recover([entry]).settle();
    rig.pass(limits.parityLinkWaitMs + limits.tickMs);
    const rest = servers.slice(1);
    const sum = xorOf(...rest.map((server) => pageOf(10 + server)));
    const sources = rest.map((server) => at(10 + server, server));
    const lost = { pageId: 98, checksum: rig.checksum(sum, 98), sources };
    for (const client of clients) expect(client.recover([lost]).statuses()).toEqual([PageStatus.OK]);
    const [first] = rig.wires.filter((wire) => wire.identity === hexOf(1));
    rig.deliver(first!, first!.answers.queuedBytes);
    expect(rig.wires).not.toContain(first);
    expect(rebuilding.statuses()).toEqual([ResultStatus.OK]);
    expect(rig.servers.get(target)!.frameOf(hexOf(1), 50)).toBeGreaterThanOrEqual(0);
  });

  it("links that owe an answer are left alone, and the reader is told that its page cannot be had now", () => {
    const rig = new Rig({}, servers.length);
    const clients = clientsOf(rig, limits.parityLinksMax / servers.length + 1);
    const last = clients.pop()!;
    readAll(rig, clients);
    for (const server of servers) rig.held.add(server);
    const [first] = servers;
    const entry = { pageId: 11, checksum: rig.checksum(pageOf(11), 11), sources: [at(10 + first!, first!)] };
    rig.pass(limits.linkPingMs + limits.tickMs);
    expect(last.recover([entry]).statuses()).toEqual([PageStatus.MISSING]);
    expect(rig.core.snapshot().links).toBe(limits.parityLinksMax);
  });
});

it("the scrub alone keeps no link", () => {
  const rig = new Rig({ scrubPerTick: 1 }, 2);
  rig.putPages(1, [11]);
  rig.putPages(2, [12]);
  const client = new ParityClient(rig).introduce([1, 2]);
  client.close(50, [rig.memberOf(11, 1), rig.memberOf(12, 2)]).settle();
  rig.pass(3 * limits.parityLinkIdleMs);
  const { scrub, parity } = rig.core.snapshot();
  expect(scrub.scrubbed).toBeGreaterThan(100);
  expect(parity.linksMade).toBeGreaterThan(2);
});
