import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../../../src/base/log.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { parseReadyLine } from "../../../src/node/running-node.ts";
import { type Compiled, compile } from "../support/compile.ts";

let compiled: Compiled;
beforeAll(() => {
  compiled = compile("bin/nswap.ts");
}, 60_000);
afterAll(() => compiled.remove());

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Runs a shell's pipeline in which `nswap` is the program; what came out of it. */
function shell(script: string): Promise<{ out: string; err: string }> {
  const program = `"${process.execPath}" "${compiled.script("bin/nswap.ts")}"`;
  return new Promise((resolve, reject) => {
    const options = { timeout: 40_000, killSignal: "SIGKILL", maxBuffer: 1 << 24 } as const;
    execFile("/bin/sh", ["-c", `nswap() { ${program} "$@"; }\n${script}`], options, (error, out, err) => {
      if (error?.killed) reject(new Error(`never ended: ${script}`));
      else resolve({ out, err });
    });
  });
}

async function startNode(): Promise<ControlPlane> {
  const plane = await ControlPlane.start({
    ...{ listen: { host: "127.0.0.1", port: 0 }, seeds: [], name: "s1", role: "server", log: silentLog },
    identity: newIdentity(),
    self: () => ({ data: "127.0.0.1:7", frames: { used: 0, free: 1, limit: 1 }, draining: false }),
    port: { nodeUp() {}, nodeChanged() {}, nodeGone() {} },
  });
  cleanups.push(() => plane.close());
  return plane;
}

describe("what a command prints", () => {
  it("arrives whole where the reader is slow", async () => {
    const { out, err } = await shell("nswap sim --seeds 1 --seed 42 --trace | { sleep 3; cat; }");
    expect(err).toBe("");
    expect(out.length).toBeGreaterThan(100_000);
    expect(out).toMatch(/\n1 runs, 0 failed: .*\n$/);
  });

  it("ends a watch whose reader has gone, without a word and not as a success", async () => {
    const { advertised } = await startNode();
    const watch = `nswap status --control ${advertised} --watch`;
    const { out, err } = await shell(`{ ${watch}; echo "status $?" >&2; } | head -n 1`);
    expect(out).toMatch(/^As s1 sees it: .*\n$/);
    expect(err).toBe("status 141\n");
  });

  it("is no success where a full disk takes none of it", async () => {
    const { advertised } = await startNode();
    const { err } = await shell(`nswap status --control ${advertised} >/dev/full; echo "status $?" >&2`);
    expect(err).toMatch(/^nswap: the output cannot be written: .*ENOSPC.*\nstatus 1\n$/);
  });
});

describe("what a node prints", () => {
  it("ends no node when nobody reads it any more", async () => {
    const any = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--capacity", "1M"];
    const node = spawn(process.execPath, [compiled.script("bin/nswap.ts"), "server", ...any]);
    const exited = once(node, "exit");
    cleanups.push(() => node.kill("SIGKILL"));
    let out = "";
    for await (const chunk of node.stdout) {
      out += chunk;
      if (out.includes("\n")) break;
    }
    const { control } = parseReadyLine(out.trim())!;
    node.stdout.destroy();
    node.stderr.destroy();
    // Each is a line of the log that nobody takes.
    for (let i = 0; i < 3; i += 1) node.kill("SIGHUP");
    expect((await fetch(`http://${control}/status`)).status).toBe(200);
    node.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });

  // `script` (util-linux) is the terminal.
  it.skipIf(!existsSync("/usr/bin/script"))("is no reason to crash when its terminal has gone", async () => {
    const directory = mkdtempSync(join(tmpdir(), "nswap-output-"));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const [output, exit] = [join(directory, "output"), join(directory, "exit")];
    const any = "--listen 127.0.0.1:0 --control 127.0.0.1:0 --capacity 1M";
    const run = `"${process.execPath}" "${compiled.script("bin/nswap.ts")}" server ${any}`;
    const terminal = spawn("script", ["-qfec", `trap '' HUP; ${run}; echo "status $?" >"${exit}"`, output], {
      stdio: "ignore",
      env: { ...process.env, SHELL: "/bin/sh" },
    });
    cleanups.push(() => terminal.kill("SIGKILL"));
    const text = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
    await expect.poll(() => text(output), { timeout: 20_000 }).toMatch(/^ready .*control=\S+\s/m);
    const control = /control=(\S+)/.exec(text(output))![1]!;
    const { nodes } = (await (await fetch(`http://${control}/status`)).json()) as {
      nodes: { pid: number }[];
    };
    const { pid } = nodes[0]!;
    cleanups.push(() => existsSync(exit) || process.kill(pid, "SIGKILL"));
    const gone = once(terminal, "exit");
    terminal.kill("SIGKILL");
    await gone;
    expect((await fetch(`http://${control}/status`)).status).toBe(200);
    process.kill(pid, "SIGTERM");
    await expect.poll(() => text(exit), { timeout: 20_000 }).toBe("status 0\n");
  });
});
