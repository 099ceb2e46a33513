import { beforeEach, describe, expect, it } from "vitest";
import { ResultStatus } from "../../../proto/peer/index.ts";
import { limits } from "../../../src/base/limits.ts";
import { pageOf } from "../server/test-client.ts";
import { at, hexOf, ParityClient, Rig } from "./rig.ts";

/** Rounds of readers that pass, at the most, until other work is done. */
const ROUNDS_MAX = 50;

describe("readers that never stop", () => {
  let rig: Rig;
  let client: ParityClient;
  const entryOf = (pageId: number, server: number, sources = 1) => ({
    pageId,
    checksum: rig.checksum(pageOf(pageId), pageId),
    sources: Array.from({ length: sources }, () => at(pageId, server)),
  });

  /** Server 3 answers the readers before, and as many come anew, until there is a result; the pages read meanwhile. */
  function passUntilDone(entry: ReturnType<typeof entryOf>, results: number[]): number {
    const wire = rig.wires.find((one) => one.identity === hexOf(3))!;
    let read = 0;
    for (let round = 0; round < ROUNDS_MAX && results.length === 0; round += 1) {
      const owed = wire.answers.queuedBytes;
      client.recover([entry]).settle();
      rig.deliver(wire, owed);
      const answers = client.settle();
      for (const { pages } of answers) read += pages.size;
      for (let i = 1; i < answers.length; i += 1) client.recover([entry]);
      results.push(...answers.flatMap((answer) => answer.results.map(({ status }) => status)));
    }
    return read;
  }

  beforeEach(() => {
    rig = new Rig();
    for (const server of [1, 2, 3]) rig.putPages(server, [10 + server]);
    client = new ParityClient(rig).introduce();
    client.recover([entryOf(13, 3)]).settle();
    client.recover([entryOf(11, 1)]).settle();
    rig.held.add(3);
  });

  it("kept a rebuilt page from its new server: it waited until nothing was asked of that", () => {
    client.recover([entryOf(13, 3)]).settle();
    client.rebuild([{ ...entryOf(11, 1), newPageId: 50, target: 3 }]);
    const results = client.settle().flatMap((answer) => answer.results.map(({ status }) => status));
    expect(results).toEqual([]);
    passUntilDone(entryOf(13, 3), results);
    expect(results).toEqual([ResultStatus.OK]);
    expect(rig.servers.get(3)!.frameOf(hexOf(1), 50)).toBeGreaterThanOrEqual(0);
  });

  it("took all work frames, so that no group was composed", () => {
    const entry = entryOf(13, 3, 7);
    for (let i = 0; i < limits.parityRecoversPerConnectionMax; i += 1) client.recover([entry]);
    client.settle();
    client.compose([{ group: 100, members: [rig.memberOf(11, 1)], sources: [at(11, 1)] }]);
    const results = client.settle().flatMap((answer) => answer.results.map(({ status }) => status));
    expect(results).toEqual([]);
    const read = passUntilDone(entry, results);
    expect(results).toEqual([ResultStatus.OK]);
    expect(read).toBeLessThan(4 * limits.parityRecoversPerConnectionMax);
  });
});
