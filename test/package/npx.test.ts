import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "nswap-package-"));
const project = path.join(scratch, "empty");
const packages = [".", "proto/nbd-server-protocol", "packages/nswap-server"];
const children: ChildProcess[] = [];

const npm = (args: string[], cwd: string): string =>
  execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

beforeAll(() => {
  for (const folder of packages) {
    npm(["pack", "--silent", "--pack-destination", scratch], path.join(root, folder));
  }
  mkdirSync(project);
  const tarballs = readdirSync(scratch).filter((name) => name.endsWith(".tgz"));
  expect(tarballs).toHaveLength(packages.length);
  npm(["init", "-y"], project);
  npm(["install", "--no-audit", "--no-fund", ...tarballs.map((name) => path.join(scratch, name))], project);
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.pid === undefined) continue;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    // npx passes no signal on to what it started: the whole group is told.
    process.kill(-child.pid, "SIGTERM");
    await gone;
  }
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Starts a program through npx and resolves to its ready line's fields. */
function startNpx(args: string[]): Promise<Record<string, string>> {
  const child = spawn("npx", ["--no-install", ...args], {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  children.push(child);
  let output = "";
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      output += chunk;
      const line = /^ready (.*)$/m.exec(output)?.[1];
      if (line !== undefined)
        resolve(Object.fromEntries(line.split(" ").map((pair) => pair.split(/=(.*)/s, 2))));
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("exit", (code) => reject(new Error(`npx ${args.join(" ")} ended with ${code}:\n${output}`)));
  });
}

test("npx nswap-server, nswap-parity and nswap work from the packed packages alone", async () => {
  const any = "127.0.0.1:0";
  const server = await startNpx(["nswap-server", "--listen", any, "--control", any, "--capacity", "64M"]);
  expect(server["role"]).toBe("server");
  const peer = ["--peer", server["control"]!];
  const parity = await startNpx([
    "nswap-parity",
    "--listen",
    any,
    "--control",
    any,
    "--capacity",
    "64M",
    ...peer,
  ]);
  expect(parity["role"]).toBe("parity");
  const client = await startNpx([
    ...["nswap", "client", "--size", "64M", "--socket", path.join(scratch, "nbd.sock")],
    ...["--control", any, ...peer],
  ]);
  expect(client["nbd"]).toContain("nbd+unix:///");
  await expect
    .poll(() => statusNames(server["control"]!), { timeout: 20_000, interval: 500 })
    .toEqual(expect.arrayContaining([server["name"], parity["name"], client["name"]]));
});

function statusNames(control: string): string[] {
  const text = execFileSync("npx", ["--no-install", "nswap", "status", "--json", "--control", control], {
    cwd: project,
    encoding: "utf8",
  });
  return (JSON.parse(text) as { nodes: { name: string }[] }).nodes.map((node) => node.name);
}

test("nbd-server-protocol can be imported on its own", () => {
  const script = "import('nbd-server-protocol').then((m) => console.log(typeof m.NbdServerSession))";
  const printed = execFileSync(process.execPath, ["-e", script], { cwd: project, encoding: "utf8" });
  expect(printed.trim()).toBe("function");
});

const filesOf = (name: string): string[] =>
  readdirSync(path.join(project, "node_modules", name), { recursive: true, encoding: "utf8" });

test.each(["nswap", "nbd-server-protocol", "nswap-server"])("%s brings what it points to", (name) => {
  const at = (file: string): string => path.join(project, "node_modules", name, file);
  const files = filesOf(name);
  expect(files).toContain("LICENSE");
  for (const file of files.filter((each) => each.endsWith(".map"))) {
    const map = JSON.parse(readFileSync(at(file), "utf8")) as {
      sources: string[];
      sourcesContent?: string[];
    };
    const missing = map.sources.filter(
      (source, n) => map.sourcesContent?.[n] === undefined && !existsSync(at(path.join(file, "..", source))),
    );
    expect(missing, file).toEqual([]);
  }
  const { exports = {} } = JSON.parse(readFileSync(at("package.json"), "utf8")) as { exports?: object };
  for (const entry of Object.values(exports).flatMap((one) =>
    typeof one === "string" ? one : Object.values<string>(one),
  ))
    expect(files).toContain(path.normalize(entry));
});

test("the packages carry neither tests nor sources of them", () => {
  const files = filesOf("nswap");
  expect(files.some((name) => name.startsWith("dist/bin/"))).toBe(true);
  expect(files.filter((name) => /(^|\/)test\//.test(name))).toEqual([]);
});
