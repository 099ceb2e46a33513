import { describe, expect, it } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import { runNode } from "../../../src/node/run-node.ts";
import {
  formatReadyLine,
  parseReadyLine,
  type ReadyLine,
  type RunningNode,
} from "../../../src/node/running-node.ts";
import { FakeHost } from "../cli/fake-host.ts";

const ready: ReadyLine = {
  role: "client",
  name: "c",
  control: "127.0.0.1:1",
  nbd: "nbd+unix:///?socket=/run/a=b",
};

function fakeNode(drain: () => Promise<void> = async () => {}) {
  const calls: string[] = [];
  let end = () => {};
  let fail = (_error: Error) => {};
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  const node: RunningNode = {
    ready,
    ended,
    drain: () => {
      calls.push("drain");
      return drain();
    },
    stop: () => {
      calls.push("stop");
      end();
    },
  };
  return { node, calls, end, fail };
}

describe("runNode", () => {
  it("prints the ready line, drains on the first signal, stops on the second", async () => {
    const { node, calls } = fakeNode();
    const host = new FakeHost();
    let nowMs = 5_000;
    const status = runNode(node, "text", silentLog, host, () => nowMs);
    expect(host.out).toBe(formatReadyLine(ready, "text"));
    host.emit("SIGTERM");
    expect(calls).toEqual(["drain"]);
    nowMs += limits.sameSignalMs;
    host.emit("SIGINT");
    expect(calls).toEqual(["drain", "stop"]);
    expect(await status).toBe(0);
    expect(host.listening).toBe(0);
  });

  it("is not stopped by the one signal that npm passes on after the process group got it", async () => {
    const { node, calls } = fakeNode();
    const host = new FakeHost();
    const said: string[] = [];
    const log = { ...silentLog, info: (text: string) => said.push(text) };
    let nowMs = 5_000;
    const status = runNode(node, "text", log, host, () => nowMs);
    host.emit("SIGINT");
    host.emit("SIGINT");
    nowMs += limits.sameSignalMs - 1;
    host.emit("SIGTERM");
    expect(calls).toEqual(["drain"]);
    expect(said.join()).toContain(`again after ${limits.sameSignalMs / 1000} s to stop at once`);
    nowMs += 1;
    host.emit("SIGINT");
    expect([await status, calls]).toEqual([0, ["drain", "stop"]]);
  });

  it("outlives the end of its terminal, and says that it does", async () => {
    const { node, calls } = fakeNode();
    const host = new FakeHost();
    const said: string[] = [];
    const log = { ...silentLog, warn: (text: string) => said.push(text) };
    const status = runNode(node, "text", log, host);
    host.emit("SIGHUP");
    host.emit("SIGHUP");
    expect(calls).toEqual([]);
    expect(said[0]).toContain("SIGHUP is ignored");
    host.emit("disconnect");
    expect([await status, host.listening]).toEqual([0, 0]);
  });

  it("stops when its parent is gone", async () => {
    const { node, calls } = fakeNode();
    const host = new FakeHost();
    const status = runNode(node, "text", silentLog, host);
    host.emit("disconnect");
    expect([await status, calls]).toEqual([0, ["stop"]]);
  });

  it("stops when it cannot drain, and gives status 1 when the node fails", async () => {
    const broken = fakeNode(() => Promise.reject(new Error("no")));
    const host = new FakeHost();
    const status = runNode(broken.node, "json", silentLog, host);
    host.emit("SIGTERM");
    expect([await status, broken.calls]).toEqual([0, ["drain", "stop"]]);
    const failing = fakeNode();
    const failed = runNode(failing.node, "text", silentLog, new FakeHost());
    failing.fail(new Error("out of memory"));
    expect(await failed).toBe(1);
  });
});

describe("the ready line", () => {
  const server: ReadyLine = { role: "server", name: "s", data: "127.0.0.1:2", control: "[::1]:1" };

  it("is as CLI.md says", () => {
    expect(formatReadyLine(server, "text")).toBe(
      "ready role=server name=s data=127.0.0.1:2 control=[::1]:1\n",
    );
    expect(formatReadyLine(ready, "text")).toBe(
      "ready role=client name=c control=127.0.0.1:1 nbd=nbd+unix:///?socket=/run/a=b\n",
    );
    expect(JSON.parse(formatReadyLine(server, "json"))).toEqual({ event: "ready", ...server });
  });

  it("is read back from both forms, and nothing else is taken for one", () => {
    for (const line of [server, ready]) {
      for (const format of ["text", "json"] as const)
        expect(parseReadyLine(formatReadyLine(line, format))).toEqual(line);
    }
    for (const text of [
      "",
      "ready",
      "ready role=server",
      "null",
      "[]",
      "{}",
      '{"event":"ready"}',
      "already role=x",
    ]) {
      expect(parseReadyLine(text)).toBeNull();
    }
  });
});
