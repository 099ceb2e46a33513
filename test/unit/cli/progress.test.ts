import { expect, it } from "vitest";
import { Progress } from "../../../src/cli/progress.ts";
import { FakeHost } from "./fake-host.ts";

it("is one line that moves on a terminal, and is taken away for other text", () => {
  const host = new FakeHost();
  host.size = { columns: 80, rows: 24 };
  const progress = new Progress(host, 100, 0);
  progress.show(1, 0, 100);
  expect(host.err).toBe("");
  progress.show(10, 1, 1_000);
  expect(host.err).toBe("\r\x1b[K10 of 100 runs, 1 failed, 9 s to go");
  progress.clear();
  progress.clear();
  expect(host.err.endsWith("to go\r\x1b[K")).toBe(true);
});

it("is a line now and then elsewhere, and none for what is over soon", () => {
  const host = new FakeHost();
  const progress = new Progress(host, 100, 0);
  progress.show(10, 0, 9_999);
  expect(host.err).toBe("");
  progress.show(11, 0, 10_000);
  progress.show(12, 0, 10_001);
  progress.show(100, 0, 90_000);
  progress.clear();
  expect(host.err).toBe("11 of 100 runs, 0 failed, 81 s to go\n");
  expect(host.out).toBe("");
});
