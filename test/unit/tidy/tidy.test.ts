import { readdirSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  checkBans,
  checkImports,
  checkSize,
  checkTraces,
  DEBTS,
  type Finding,
  findDeadFiles,
  type SourceFile,
} from "./rules.ts";
import { codeOnly, importsOf } from "./source-text.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SKIPPED = new Set(["node_modules", "dist", ".git", "bench-results", "tmp", "coverage"]);
const FILE_BYTES_MAX = 1024 * 1024;

/** The text files of the repository but for what is built or installed. */
function repository(folder = ""): SourceFile[] {
  return readdirSync(posix.join(ROOT, folder), { withFileTypes: true }).flatMap((entry): SourceFile[] => {
    const path = posix.join(folder, entry.name);
    if (SKIPPED.has(entry.name) || entry.name.includes(".generated.") || entry.name.endsWith(".tgz"))
      return [];
    if (entry.isDirectory()) return repository(path);
    if (!entry.isFile() || statSync(posix.join(ROOT, path)).size > FILE_BYTES_MAX) return [];
    const text = readFileSync(posix.join(ROOT, path), "utf8");
    return text.includes("\0") ? [] : [{ path, text }];
  });
}

const files = repository();

describe("the repository", () => {
  it("is seen", () => {
    const paths = files.map((file) => file.path);
    expect(paths).toContain("src/base/arena.ts");
    expect(paths).toContain("proto/peer/peer.md");
    expect(paths).toContain("proto/nbd-server-protocol/src/index.ts");
    expect(paths).toContain("package-lock.json");
  });

  it.each<[string, (file: SourceFile) => Finding[]]>([
    ["imports one way: cli -> node -> (io, cores) -> base", checkImports],
    ["keeps clocks, timers, randomness and promises out of cores", checkBans],
    ["has lines and files that fit a screen", checkSize],
    ["tells nothing of the machine that it was written on", checkTraces],
  ])("%s", (_, rule) => {
    expect(files.flatMap(rule)).toEqual([]);
  });

  it("keeps no debt of imports that was paid off", () => {
    const stillOwed = [...DEBTS].filter((debt) => {
      const [path, layer] = debt.split(" -> ");
      const file = files.find((candidate) => candidate.path === path);
      return (
        file !== undefined && importsOf(file.text).some((i) => !i.typeOnly && i.from.includes(`/${layer}/`))
      );
    });
    expect([...DEBTS].filter((debt) => !stillOwed.includes(debt))).toEqual([]);
  });

  const programs = files.some((file) => file.path.startsWith("bin/"));
  it.skipIf(!programs)("has no dead files in src (once there are programs in bin)", () => {
    expect(findDeadFiles(files)).toEqual([]);
  });
});

describe("the rules see", () => {
  const at = (path: string, text: string): SourceFile => ({ path, text });

  it.each([
    ["src/base/x.ts", 'import { a } from "../observe/a.ts";'],
    ["src/base/x.ts", 'import type { A } from "../../proto/peer/index.ts";'],
    ["src/client/x.ts", 'import type { A } from "../io/a.ts";'],
    ["src/client/x.ts", 'import { readFileSync } from "node:fs";'],
    ["src/client/x.ts", 'import { A } from "../node/a.ts";'],
    ["src/client/x.ts", 'const a = import("node:net");'],
    ["src/client/x.ts", 'import "ws";'],
    ["src/membership/x.ts", 'import type { SlotMap } from "../slots/slot-map.ts";'],
    ["src/server/x.ts", 'import {\n  A,\n  B,\n} from "../client/a.ts";'],
    ["src/io/x.ts", 'import { ClientCore } from "../client/client-core.ts";'],
    ["src/io/x.ts", 'export * from "../cli/a.ts";'],
    ["src/node/x.ts", 'export { a } from "../cli/a.ts";'],
    ["src/client/x.ts", 'import { a } from "../../test/support/a.ts";'],
    ["proto/peer/x.ts", 'import { limits } from "../../src/base/limits.ts";'],
    ["proto/peer/x.ts", 'import { Buffer } from "node:buffer";'],
    ["proto/nbd-server-protocol/src/x.ts", 'import { a } from "../../../src/base/a.ts";'],
    ["proto/nbd-server-protocol/src/x.ts", 'import { a } from "../../peer/index.ts";'],
    ["bin/x.ts", 'import { limits } from "../src/base/limits.ts";'],
    ["src/utils/x.ts", ""],
  ])("a forbidden import in %s: %s", (path, text) => {
    expect(checkImports(at(path, text)).length).toBe(1);
  });

  it.each([
    [
      "src/client/x.ts",
      'import { A } from "../slots/slot-map.ts";\nimport { B } from "../../proto/peer/index.ts";',
    ],
    ["src/client/x.ts", 'import { Buffer } from "node:buffer";\nimport { S } from "nbd-server-protocol";'],
    ["src/io/x.ts", 'import type { A } from "../client/a.ts";\nimport { type B } from "../client/b.ts";'],
    ["src/io/x.ts", 'import net from "node:net";\nimport { WebSocket } from "ws";'],
    ["src/base/x.ts", '// import { a } from "../io/a.ts";\nimport { b } from "./b.ts";'],
    ["test/x.ts", 'import { a } from "../src/io/a.ts";'],
  ])("nothing wrong in %s: %s", (path, text) => {
    expect(checkImports(at(path, text))).toEqual([]);
  });

  it.each([
    "Date.now()",
    "new Date()",
    "performance.now()",
    "process.hrtime.bigint()",
    "Math.random()",
    "setTimeout(f, 1)",
    "setInterval(f, 1)",
    "setImmediate(f)",
    "async () => 1",
    "await x",
    "let p: Promise<void>",
    "queueMicrotask(f)",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the source that is looked at has the template
    "const s = `${Date.now()}`",
  ])("%s in a core, and not elsewhere", (code) => {
    for (const path of ["src/client/x.ts", "src/base/x.ts", "proto/peer/x.ts"]) {
      expect(checkBans(at(path, `f();\n${code};`)).length).toBe(1);
      expect(checkBans(at(path, `f();\n${code};`))[0]).toMatch(/^[^:]+:2: .*; instead: \S/);
    }
    expect(checkBans(at("src/io/x.ts", code))).toEqual([]);
    expect(checkBans(at("src/client/x.ts", `// ${code}\n/* ${code} */`))).toEqual([]);
  });

  it("long lines, long files, traces of a machine", () => {
    expect(checkSize(at("src/a/x.ts", "x".repeat(121)))).toHaveLength(1);
    expect(checkSize(at("src/a/x.ts", "x".repeat(120)))).toEqual([]);
    expect(checkSize(at("src/a/x.ts", "x\n".repeat(501)))).toHaveLength(1);
    expect(checkSize(at("src/a/x.ts", "x\n".repeat(500)))).toEqual([]);
    for (const trace of [
      ["", "work", "main"],
      ["", "home", "ann", "x"],
      ["", "Users", "ann"],
    ]) {
      expect(checkTraces(at("README.md", `see ${trace.join("/")}/`))).toHaveLength(1);
    }
    expect(
      checkTraces(at("package-lock.json", ["https://registry", "example", "org"].join("."))),
    ).toHaveLength(1);
    expect(checkTraces(at("README.md", "see ./our-work/ and network-home/"))).toEqual([]);
  });

  it("a file that only dead files import", () => {
    const tree = [
      at("bin/a.ts", 'import "../src/cli/a.ts";'),
      at("src/cli/a.ts", 'import { b } from "../base/b.ts";'),
      at("src/base/b.ts", ""),
      at("src/base/c.ts", 'import { d } from "./d.ts";'),
      at("src/base/d.ts", ""),
      at("src/base/e.ts", ""),
      at("test/unit/e.test.ts", 'import type { E } from "../../src/base/e.ts";'),
    ];
    expect(findDeadFiles(tree).map((finding) => finding.split(":")[0])).toEqual([
      "src/base/c.ts",
      "src/base/d.ts",
    ]);
  });

  it("imports of every form", () => {
    const text =
      'import a, { type B } from "a";\nimport {\n type C,\n type D } from "b";\nimport type { E } from "c";';
    expect(importsOf(`${text}\nexport * from "d";\nimport "e";\nf(import("g"));`)).toEqual([
      { from: "a", typeOnly: false },
      { from: "b", typeOnly: true },
      { from: "c", typeOnly: true },
      { from: "d", typeOnly: false },
      { from: "e", typeOnly: false },
      { from: "g", typeOnly: false },
    ]);
    expect(codeOnly('a("Date.now"); // Date.now\nb').split("\n").length).toBe(2);
    expect(codeOnly('a("Date.now"); // Date.now')).not.toContain("Date");
  });
});
