import { posix } from "node:path";
import { codeOnly, importsOf } from "./source-text.ts";

/** A text file of the repository; the path is relative to its root. */
export interface SourceFile {
  path: string;
  text: string;
}

/** Something that is not as it should be, with what to do instead. */
export type Finding = string;

const CORES = ["slots", "placement", "redundancy", "client", "server", "parity", "spill", "membership"];
const MESSAGES = ["proto/peer", "nbd-server-protocol"];
const FOUNDATION = ["base", "observe", ...MESSAGES];

interface Layer {
  /** Layers that it may import, itself aside. */
  imports: string[];
  /** Layers that it may know the types of. */
  types?: string[];
  /** True if all of Node and the packages are open to it. */
  outside: boolean;
  /** True if it is a state machine: no clock, no timer, no randomness, nothing to wait for. */
  pure: boolean;
}

const core = (imports: string[]): Layer => ({
  imports: [...FOUNDATION, ...imports],
  outside: false,
  pure: true,
});

/** Who may import whom (docs: cli -> node -> (io, cores) -> base). */
const LAYERS = new Map<string, Layer>([
  ["base", { imports: [], outside: false, pure: true }],
  ["observe", { imports: ["base"], outside: false, pure: true }],
  ["slots", core([])],
  ["placement", core([])],
  ["spill", core(["slots"])],
  ["redundancy", core(["slots", "placement"])],
  ["client", core(["slots", "placement", "redundancy", "spill"])],
  ["server", core([])],
  ["parity", core(["server", "client"])],
  ["membership", core([])],
  ["sim", core(CORES)],
  ["io", { imports: FOUNDATION, types: CORES, outside: true, pure: false }],
  ["dashboard", { imports: FOUNDATION, types: CORES, outside: true, pure: false }],
  ["node", { imports: [...FOUNDATION, ...CORES, "io", "dashboard"], outside: true, pure: false }],
  [
    "cli",
    { imports: [...FOUNDATION, ...CORES, "io", "dashboard", "node", "sim"], outside: true, pure: false },
  ],
  ["bin", { imports: ["cli", "node"], outside: false, pure: false }],
  ["proto/peer", { imports: [], outside: false, pure: true }],
  ["nbd-server-protocol", { imports: [], outside: false, pure: true }],
]);

/** Debts against the table, to be paid off: a file and the layer that it should not import. */
export const DEBTS: ReadonlySet<string> = new Set();

/** Modules of Node that every layer under src may use. */
const PLAIN_NODE = ["node:assert", "node:buffer"];

/** The layer of a source file, undefined for tests, scripts and the like. */
export function layerOf(path: string): string | undefined {
  if (path.startsWith("proto/peer/")) return "proto/peer";
  if (path.startsWith("proto/nbd-server-protocol/src/")) return "nbd-server-protocol";
  if (path.startsWith("bin/")) return "bin";
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

const isCode = (path: string): boolean => /\.(ts|mjs|js)$/.test(path) && !path.endsWith(".d.ts");

/** Imports go one way. */
export function checkImports(file: SourceFile): Finding[] {
  const name = layerOf(file.path);
  if (name === undefined || !isCode(file.path)) return [];
  const layer = LAYERS.get(name);
  if (layer === undefined) {
    return [
      `${file.path}: "${name}" is no layer; use one of ${[...LAYERS.keys()].join(", ")}, or add it in rules.ts`,
    ];
  }
  const findings: Finding[] = [];
  for (const { from, typeOnly } of importsOf(file.text)) {
    const wrong = importFault(file.path, name, layer, from, typeOnly);
    if (wrong !== undefined) findings.push(`${file.path}: imports ${from}: ${wrong}`);
  }
  return findings;
}

function importFault(
  path: string,
  name: string,
  layer: Layer,
  from: string,
  typeOnly: boolean,
): string | undefined {
  const target = from.startsWith(".") ? layerOf(posix.join(posix.dirname(path), from)) : from;
  if (target === name) return undefined;
  if (target === undefined) return "sources do not import tests or scripts; move what is shared into src/";
  if (LAYERS.has(target)) {
    if (layer.imports.includes(target)) return undefined;
    if (typeOnly && layer.types?.includes(target)) return undefined;
    if (DEBTS.has(`${path} -> ${target}`)) return undefined;
    const open = layer.imports.length === 0 ? "nothing but itself" : layer.imports.join(", ");
    return `${name} may import ${open}; declare a port (an interface) here and let src/node connect the two`;
  }
  if (layer.outside || (PLAIN_NODE.includes(target) && path.startsWith("src/"))) return undefined;
  return `${name} touches nothing outside; do it in src/io behind a port (an interface) that ${name} declares`;
}

const BANS: [pattern: RegExp, instead: string][] = [
  [/\bDate\.now\b|\bnew Date\b|\bDate\(/, "take the time as an argument (nowMs) of the event or of tick"],
  [
    /\bperformance\.now\b|\bprocess\.hrtime\b/,
    "take the time as an argument (nowMs) of the event or of tick",
  ],
  [/\bMath\.random\b|\bgetRandomValues\b|\brandomBytes\b|\brandomUUID\b/, "take a Prng (src/base/prng.ts)"],
  [/\bset(?:Timeout|Interval|Immediate)\b/, "compare with nowMs in tick"],
  [/\bqueueMicrotask\b|\bnextTick\b/, "gather the work and do it in flush, at the end of the turn"],
  [/\basync\b|\bawait\b/, "run to completion and tell the port; the answer comes back as an event"],
  [/\bPromise\b/, "run to completion and tell the port; the answer comes back as an event"],
];

/** Cores have no clocks, timers, randomness or promises. */
export function checkBans(file: SourceFile): Finding[] {
  const layer = LAYERS.get(layerOf(file.path) ?? "");
  if (layer?.pure !== true || !isCode(file.path)) return [];
  const findings: Finding[] = [];
  for (const [i, line] of codeOnly(file.text).split("\n").entries()) {
    for (const [pattern, instead] of BANS) {
      const hit = pattern.exec(line);
      if (hit !== null) findings.push(`${file.path}:${i + 1}: ${hit[0]}; instead: ${instead}`);
    }
  }
  return findings;
}

const LINE_MAX = 120;
const LINES_MAX = 500;

/** Code fits a screen: no long lines, no long files. */
export function checkSize(file: SourceFile): Finding[] {
  if (!/\.(ts|mjs|js|wat|py|sh|pl)$/.test(file.path)) return [];
  const findings: Finding[] = [];
  const lines = file.text.split("\n");
  for (const [i, line] of lines.entries()) {
    if (line.length <= LINE_MAX) continue;
    findings.push(
      `${file.path}:${i + 1}: ${line.length} characters; break the line at ${LINE_MAX} or before`,
    );
  }
  if (file.path.startsWith("src/") && lines.length > LINES_MAX + 1) {
    findings.push(
      `${file.path}: ${lines.length - 1} lines; split it into files of one noun each, ${LINES_MAX} at most`,
    );
  }
  return findings;
}

const TRACES: [pattern: RegExp, what: string, instead: string][] = [
  [
    /\bregistry\.[a-z0-9-]+\.[a-z]{2,}/i,
    "host of a registry",
    "leave download addresses to the user's npm settings",
  ],
  [/"resolved":\s*"https?:/, "download address", "npm install with omit-lockfile-registry-resolved (.npmrc)"],
  [
    /(?<![\w.$}/-])\/(?:work|Users|home\/[a-z][\w-]*)\//,
    "path of one machine",
    "a path relative to the file or a parameter",
  ],
];

/** Nothing in the repository tells of the machine that it was written on. */
export function checkTraces(file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const [i, line] of file.text.split("\n").entries()) {
    for (const [pattern, what, instead] of TRACES) {
      const hit = pattern.exec(line);
      if (hit !== null) findings.push(`${file.path}:${i + 1}: ${hit[0]} is the ${what}; instead: ${instead}`);
    }
  }
  return findings;
}

/** Files of src that nothing imports, directly or not, from bin, tests or scripts. */
export function findDeadFiles(files: SourceFile[]): Finding[] {
  const byPath = new Map(files.filter((file) => isCode(file.path)).map((file) => [file.path, file]));
  const isRoot = (path: string) => /^(?:bin|test|scripts|packages)\//.test(path) || /\.test\.ts$/.test(path);
  const reached = new Set([...byPath.keys()].filter(isRoot));
  for (const path of reached) {
    for (const { from } of importsOf(byPath.get(path)!.text)) {
      if (!from.startsWith(".")) continue;
      const target = posix.join(posix.dirname(path), from);
      if (byPath.has(target)) reached.add(target);
    }
  }
  const dead = [...byPath.keys()].filter((path) => path.startsWith("src/") && !reached.has(path));
  return dead.map((path) => `${path}: imported by no bin, test or script; use it, test it or delete it`);
}
