import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { type LogFields, messageText } from "../../../src/base/log.ts";
import { LossNotices } from "../../../src/client/loss-notices.ts";
import { createLog } from "../../../src/node/log.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

const minuteMs = 60_000;

function recording() {
  const said: { message: string; fields: LogFields; level: string }[] = [];
  const losses = new LossNotices((message, fields = {}, level = "info") => {
    said.push({ message, fields, level });
  });
  return { said, losses };
}

const pagesIn = (said: { fields: LogFields }[]): number =>
  said.reduce((sum, { fields }) => sum + Number(fields["pages"] ?? 1), 0);

describe("pages that are lost", () => {
  it("are named if they are few, as errors", () => {
    const { said, losses } = recording();
    losses.lost(7, 70, "nothing of its group is left", 0);
    losses.tick(minuteMs);
    expect(said).toEqual([
      {
        message: "a page is lost",
        fields: { slot: 7, page: 70, why: "nothing of its group is left" },
        level: "error",
      },
    ]);
  });

  it("of a whole server do not fill the disk: the rest is said in one line", () => {
    const { said, losses } = recording();
    for (let slot = 0; slot < 32_768; slot += 1) losses.lost((slot * 5) % 32_768, slot, "gone", slot / 20);
    losses.tick(limits.lossNoticeMsMin - 1);
    expect(said.map(({ message }) => message)).toEqual(Array(4).fill("a page is lost"));
    losses.tick(2_000);
    expect(said).toHaveLength(5);
    expect(said[4]).toEqual({
      message: "more pages are lost",
      fields: { pages: 32_764, firstSlot: 1, lastSlot: 32_767, why: "gone" },
      level: "error",
    });
  });

  it("all the time are all counted, in lines that the log leaves none of out", () => {
    const lines: string[] = [];
    let nowMs = 0;
    const log = createLog({ format: "text", write: (line) => lines.push(line), nowMs: () => nowMs });
    const losses = new LossNotices((message, fields, level = "info") => log[level](message, fields));
    let slot = 0;
    for (; nowMs < 10 * minuteMs; nowMs += limits.tickMs) {
      for (let i = 0; i < 30; i += 1) losses.lost(slot, slot++, "gone", nowMs);
      losses.tick(nowMs);
    }
    losses.say();
    const pages = lines.map((line) => Number(/ pages=(\d+)/.exec(line)?.[1] ?? 1));
    expect(pages.reduce((sum, count) => sum + count, 0)).toBe(slot);
    expect(lines.length).toBeLessThan(75);
    expect(lines.join("")).not.toContain("leftOut");
  });

  it("are named again after a quiet time", () => {
    const { said, losses } = recording();
    for (let slot = 0; slot < 100; slot += 1) losses.lost(slot, slot, "gone", 0);
    losses.lost(500, 500, "gone", minuteMs);
    expect(said.at(-1)).toMatchObject({ message: "a page is lost", fields: { slot: 500 } });
    expect(pagesIn(said)).toBe(101);
  });
});

it("a server that dies with its pages is an error of the log, and reading them all is a few lines", () => {
  const client = new TestClient({ slots: 4096 });
  const levels: string[] = [];
  const notices: string[] = [];
  client.notice = (message, fields, level = "info") => {
    levels.push(level);
    notices.push(messageText(message, fields));
  };
  const pages = 2_000;
  const wire = client.join(memoryServer("a"));
  for (let slot = 0; slot < pages; slot += 1) {
    client.write(slot, pageOf(slot));
    if (slot % 100 === 0) client.pump();
  }
  client.pump();
  client.core.serverLost(client.core.table.holders[0]!.identity, "another process is at its address");
  client.cut(wire);
  for (let slot = 0; slot < pages; slot += 1) {
    client.read(slot);
    if (slot % 100 === 0) client.pump();
  }
  client.pump();
  for (; client.nowMs < 2 * limits.lossNoticeMsMin; client.nowMs += limits.tickMs)
    client.core.tick(client.nowMs);
  expect(client.core.lostPages).toBe(pages);
  const lost = notices.filter((text) => text.includes(" lost "));
  expect(lost).toContain(
    `a memory server is lost name=a pages=${pages} why="another process is at its address"`,
  );
  expect(lost.filter((text) => text.startsWith("a page is lost slot="))).toHaveLength(limits.lossesNamed);
  expect(lost.at(-1)).toContain(`more pages are lost pages=${pages - 4} firstSlot=4 lastSlot=${pages - 1}`);
  const errors = notices.filter((_, i) => levels[i] === "error");
  expect(errors).toHaveLength(1 + limits.lossesNamed + 1);
});
