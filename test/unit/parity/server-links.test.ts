import { expect, it } from "vitest";
import { PageStatus } from "../../../proto/peer/index.ts";
import { limits } from "../../../src/base/limits.ts";
import { pageOf } from "../server/test-client.ts";
import { at, type Lost, ParityClient, Rig, xorOf } from "./rig.ts";

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
