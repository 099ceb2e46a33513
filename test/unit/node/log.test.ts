import { describe, expect, it } from "vitest";
import { createLog, type LogOptions } from "../../../src/node/log.ts";

function recording(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const clock = { nowMs: 0, wallMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6) };
  const timers: { act: () => void; ms: number }[] = [];
  const log = createLog({
    format: "text",
    write: (line) => lines.push(line),
    wallMs: () => clock.wallMs,
    nowMs: () => clock.nowMs,
    later: (act, ms) => timers.push({ act, ms }),
    ...options,
  });
  return { lines, clock, timers, log };
}

describe("the log", () => {
  it("writes a line of text with its fields, nothing in them that a terminal would obey", () => {
    const { log, lines } = recording();
    log.warn("it happened", { count: 3, text: "two words", escape: "\x1b[2J\n\x9b", none: undefined });
    expect(lines).toEqual([
      '2026-01-02T03:04:05.006Z warn  it happened count=3 text="two words" escape="\\u001b[2J\\n?"\n',
    ]);
  });

  it("writes a line of JSON with the node's name", () => {
    const { log, lines } = recording({ format: "json", name: "a" });
    log.error("it happened", { why: "x\ny" });
    expect(JSON.parse(lines[0])).toEqual({
      ...{ time: "2026-01-02T03:04:05.006Z", level: "error", node: "a", message: "it happened", why: "x\ny" },
    });
    expect(lines[0].indexOf("\n")).toBe(lines[0].length - 1);
  });

  it("leaves out what is below its level and cuts long fields", () => {
    const { log, lines } = recording({ level: "warn" });
    log.debug("no");
    log.info("no");
    log.warn("yes", { long: "x".repeat(10_000) });
    expect(lines).toHaveLength(1);
    expect(lines[0].length).toBeLessThan(600);
  });

  it("limits the rate of a message that repeats and says how many were left out", () => {
    const { log, lines, clock } = recording();
    for (let i = 0; i < 100; i++) log.warn("again");
    log.warn("another");
    expect(lines.filter((line) => line.includes("again"))).toHaveLength(5);
    expect(lines.at(-1)).toContain("another");
    clock.nowMs += 10_000;
    log.warn("again");
    expect(lines.at(-1)).toContain("again leftOut=95");
  });

  it("says how many were left out even if the message does not come again", () => {
    const { log, lines, clock, timers } = recording();
    for (let i = 0; i < 100; i++) log.warn("again", { i });
    expect(timers.map(({ ms }) => ms)).toEqual([10_000]);
    clock.nowMs += 10_000;
    timers[0].act();
    expect(lines.at(-1)).toMatch(/ warn {2}again leftOut=95\n$/);
    log.warn("again");
    expect(lines.at(-1)).toMatch(/again\n$/);
    expect(lines).toHaveLength(7);
  });

  it("that had reached its limit is not silent for a day when the clock is set back a day", () => {
    const { log, lines, clock } = recording();
    for (let i = 0; i < 6; i++) log.warn("again");
    clock.wallMs -= 24 * 3600_000;
    clock.nowMs += 10_000;
    log.warn("again");
    expect(lines.at(-1)).toMatch(/^2026-01-01T03:04:05\.006Z warn {2}again leftOut=1\n$/);
  });

  it("remembers a bounded number of messages", () => {
    const { log, lines } = recording();
    for (let i = 0; i < 2_000; i++) log.info(`message ${i}`);
    expect(lines).toHaveLength(2_000);
  });
});
