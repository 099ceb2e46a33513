import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parseHostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { LocalCluster, type LocalOptions } from "../../../src/node/local-cluster.ts";
import { parseReadyLine } from "../../../src/node/running-node.ts";
import { StatusClient } from "../../../src/node/status-client.ts";
import { type Compiled, compile } from "../support/compile.ts";

const nodeSource = "test/unit/node/fixture-node.ts";
const clusterSource = "test/unit/node/fixture-cluster.ts";

let compiled: Compiled;
beforeAll(() => {
  compiled = compile(nodeSource, clusterSource);
}, 60_000);
afterAll(() => compiled.remove());

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const options: LocalOptions = {
  name: "local",
  servers: 3,
  parity: 0,
  capacityBytes: 1 << 20,
  respawn: false,
  insecure: false,
  log: "text",
  control: { host: "127.0.0.1", port: 0 },
  client: {
    ...{ sizeBytes: 1 << 20, nbd: { host: "127.0.0.1", port: 0 }, exportName: "" },
    ...{ redundancy: "none", groupSize: 4 },
  },
};

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let waited = 0; !(await condition()); waited += 20) {
    if (waited > 40_000) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function start(given: Partial<LocalOptions> = {}, startMsMax = 60_000) {
  const lines: string[] = [];
  const errors: string[] = [];
  const cluster = await LocalCluster.start(
    { ...options, ...given },
    {
      program: { file: process.execPath, args: [compiled.script(nodeSource)] },
      key: null,
      log: { ...silentLog, error: (text, fields) => errors.push(`${text} ${JSON.stringify(fields)}`) },
      line: (label, text) => lines.push(`${label}: ${text}`),
      startMsMax,
    },
  );
  cleanups.push(async () => {
    cluster.stop();
    await cluster.ended.catch(() => {});
  });
  return { cluster, lines, errors };
}

async function status(control: string) {
  const client = await StatusClient.connect(parseHostPort(control), null);
  try {
    return await client.status();
  } finally {
    client.close();
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("a local cluster", () => {
  it("is ready when all see each other, and ends the client first", async () => {
    const { cluster, lines } = await start();
    const { ready } = cluster;
    expect(ready).toMatchObject({ role: "local", name: "local", nbd: "nbd://127.0.0.1:0/" });
    const { nodes } = await status(ready.control);
    expect(nodes.map((node) => [node.name, node.state])).toEqual([
      ["client", "up"],
      ["server-1", "up"],
      ["server-2", "up"],
      ["server-3", "up"],
    ]);
    await cluster.drain();
    await cluster.ended;
    for (const node of nodes) expect(isAlive(node.pid)).toBe(false);
    expect(lines.filter((line) => line.includes(" warn "))).toEqual([]);
    const drainedAt = (label: string) =>
      Number(
        /at=(\d+)/.exec(lines.find((l) => l.startsWith(`${label}: `) && l.includes("drained")) ?? "")?.[1],
      );
    for (const server of ["server-1", "server-2", "server-3"]) {
      expect(drainedAt("client")).toBeLessThan(drainedAt(server));
    }
  });

  it("starts parity servers beside the memory servers", async () => {
    const { cluster } = await start({ servers: 1, parity: 2 });
    const { nodes } = await status(cluster.ready.control);
    expect(nodes.map((node) => `${node.name} ${node.role} ${node.state}`)).toEqual([
      ...["client client up", "parity-1 parity up", "parity-2 parity up", "server-1 server up"],
    ]);
  });

  it("is ready only when the client is linked to the parity servers, where it uses them", async () => {
    process.env["FIXTURE_UNLINKED"] = "1";
    try {
      const client = { ...options.client, redundancy: "parity" } as const;
      await expect(start({ servers: 2, parity: 1, client }, 3_000)).rejects.toThrow(
        /^client is linked to 64 of 2 memory servers, 0 of 1 parity servers$/,
      );
      const { cluster } = await start({ servers: 2, parity: 1 });
      expect(cluster.ready.role).toBe("local");
    } finally {
      delete process.env["FIXTURE_UNLINKED"];
    }
  });

  it("says who died and goes on without it", async () => {
    const { cluster, errors } = await start();
    const { nodes } = await status(cluster.ready.control);
    const victim = nodes.find((node) => node.name === "server-2")!;
    process.kill(victim.pid, "SIGKILL");
    await until(() => errors.length > 0, "the death is said");
    expect(errors[0]).toContain("a node died");
    expect(errors[0]).toContain(`"node":"server-2","pid":${victim.pid},"how":"signal SIGKILL"`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const after = (await status(cluster.ready.control)).nodes.find((node) => node.name === "server-2");
    expect(after?.pid).toBe(victim.pid);
    expect(isAlive(victim.pid)).toBe(false);
  });

  it("starts the dead again on the same address with respawn", async () => {
    const { cluster } = await start({ respawn: true });
    const node = async () =>
      (await status(cluster.ready.control)).nodes.find((one) => one.name === "server-1");
    const before = (await node())!;
    process.kill(before.pid, "SIGKILL");
    await until(async () => {
      const now = await node();
      return now !== undefined && now.pid !== before.pid && now.state === "up";
    }, "server-1 is back");
    expect((await node())!.control).toBe(before.control);
    const names = (await status(cluster.ready.control)).nodes.map((one) => one.name);
    expect(names).toEqual(["client", "server-1", "server-2", "server-3"]);
  });

  it("fails as a whole, and says why, when a node cannot start", async () => {
    process.env["FIXTURE_FAIL"] = "server-2";
    try {
      await expect(start()).rejects.toThrow(
        /^server-2 \(pid \d+\) ended before it was ready: exit status 7$/,
      );
    } finally {
      delete process.env["FIXTURE_FAIL"];
    }
  });

  it("fails when all nodes have died", async () => {
    const { cluster } = await start({ servers: 1 });
    for (const node of (await status(cluster.ready.control)).nodes) process.kill(node.pid, "SIGKILL");
    await expect(cluster.ended).rejects.toThrow("every node");
  });
});

describe("a local cluster as a process", () => {
  const launch = async () => {
    const parent: ChildProcess = spawn(
      process.execPath,
      [
        compiled.script(clusterSource),
        compiled.script(nodeSource),
        JSON.stringify({ ...options, servers: 2 }),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    cleanups.push(() => parent.kill("SIGKILL"));
    let out = "";
    parent.stdout!.on("data", (data) => {
      out += data;
    });
    parent.stderr!.resume();
    await until(() => out.includes("\n"), "the ready line");
    const ready = parseReadyLine(out);
    if (ready === null) throw new Error(`no ready line: ${out}`);
    const pids = (await status(ready.control)).nodes.map((node) => node.pid);
    return { parent, ready, pids, out: () => out };
  };

  it("takes its nodes with it when it is killed", async () => {
    const { parent, pids } = await launch();
    expect(pids).toHaveLength(3);
    parent.kill("SIGKILL");
    await until(() => !pids.some(isAlive), "the nodes are gone");
  });

  it("ends in order on SIGTERM with status 0 and one line on standard output", async () => {
    const { parent, pids, out } = await launch();
    const code = new Promise((resolve) => parent.on("exit", resolve));
    parent.kill("SIGTERM");
    expect(await code).toBe(0);
    expect(pids.some(isAlive)).toBe(false);
    expect(out()).toMatch(
      /^ready role=local name=local control=127\.0\.0\.1:\d+ nbd=nbd:\/\/127\.0\.0\.1:0\/\n$/,
    );
  });
});
