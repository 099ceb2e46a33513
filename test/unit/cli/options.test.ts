import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientOptions, clientSpecs } from "../../../src/cli/client.ts";
import { defaultName } from "../../../src/cli/common.ts";
import { readOptions } from "../../../src/cli/layers.ts";
import { localOptions, localSpecs } from "../../../src/cli/local.ts";
import { main } from "../../../src/cli/main.ts";
import { serverOptions, serverSpecs } from "../../../src/cli/server.ts";
import { FakeHost } from "./fake-host.ts";

const GiB = 1024 ** 3;
const memory = { totalBytes: 16 * GiB, availableBytes: 8 * GiB };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nswap-options-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

type Layers = { line?: Record<string, unknown>; env?: Record<string, string>; config?: string };

function layers({ line = {}, env = {}, config }: Layers) {
  const commandLine = config === undefined ? line : { ...line, config: file("config.json", config) };
  return { commandLine, environment: env };
}

describe("the layers of options", () => {
  const read = (given: Layers) => readOptions(clientSpecs, layers(given), () => {});

  it("command line wins over environment, which wins over the file", () => {
    const config = '{ "name": "file", "size": 8192, "control": "127.0.0.1:3", "insecure": true }';
    const env = { NSWAP_NAME: "env", NSWAP_CONTROL: "127.0.0.1:2" };
    const values = read({ line: { name: "line" }, env, config });
    expect(values).toMatchObject({ name: "line", control: { port: 2 }, size: 8192, insecure: true });
    expect(read({ line: { insecure: false }, config }).insecure).toBe(false);
    expect(read({ env: { NSWAP_INSECURE: "0" }, config }).insecure).toBe(false);
  });

  it("takes the file's path from the environment too", () => {
    const path = file("from-env.json", '{ "name": "file" }');
    const values = readOptions(
      clientSpecs,
      { commandLine: {}, environment: { NSWAP_CONFIG: path } },
      () => {},
    );
    expect(values.name).toBe("file");
  });

  it("takes lists from each layer", () => {
    const ports = (given: Layers) => read(given).peer?.map((peer) => peer.port);
    expect(ports({ line: { peer: ["a:1", "b:2"] } })).toEqual([1, 2]);
    expect(ports({ env: { NSWAP_PEER: "a:1, b:2" } })).toEqual([1, 2]);
    expect(ports({ config: '{ "peer": ["a:1", "b:2"] }' })).toEqual([1, 2]);
    expect(ports({ line: { peer: "c:3" }, env: { NSWAP_PEER: "a:1" } })).toEqual([3]);
  });

  it("an empty variable is none", () => {
    expect(read({ env: { NSWAP_SIZE: "", NSWAP_CONFIG: "" } }).size).toBeUndefined();
  });

  it.each<[string, Layers, string[]]>([
    ["a wrong value on the command line", { line: { size: "5" } }, ["--size", '"5"', "multiple of 4096"]],
    ["a wrong variable", { env: { NSWAP_SIZE: "5" } }, ["NSWAP_SIZE", '"5"', "multiple of 4096"]],
    ["a wrong key", { config: '{ "size": "5" }' }, ['"size" in ', '"5"', "multiple of 4096"]],
    ["an unknown key", { config: '{ "sice": "5" }' }, ["--config", '"sice"', "accepted: listen"]],
    ["a key that is an inherited word", { config: '{ "constructor": "5" }' }, ["--config", '"constructor"']],
    ["an object as a value", { config: '{ "size": {} }' }, ['"size" in ', '"{}"', "accepted: a text"]],
    ["a list for one value", { config: '{ "size": [4096, 8192] }' }, ["given 2 times; accepted: once"]],
    ["no JSON", { config: "size=5" }, ["--config", "is not JSON"]],
    ["no object", { config: "[1]" }, ["--config", "JSON object"]],
    ["an option given twice", { line: { size: ["4K", "8K"] } }, ["--size", "given 2 times; accepted: once"]],
    ["a name with a space", { line: { name: "a b" } }, ["--name", '"a b"', "letters"]],
    [
      "a socket path that is too long",
      { line: { socket: `/${"x".repeat(107)}` } },
      ["--socket", "107 bytes"],
    ],
    ["a peer on port 0", { line: { peer: ["a:1", "b:0"] } }, ["--peer", '"b:0"', "from 1 to 65535"]],
    [
      "a redundancy that there is not",
      { line: { redundancy: "raid" } },
      ["--redundancy", '"raid"', "accepted: none, mirror, parity"],
    ],
    ["too large a group", { line: { "group-size": "9" } }, ["--group-size", '"9"', "from 1 to 8"]],
    ["an empty group", { env: { NSWAP_GROUP_SIZE: "0" } }, ["NSWAP_GROUP_SIZE", '"0"', "from 1 to 8"]],
  ])("%s is refused by name", (_, given, parts) => {
    for (const part of parts) expect(() => read(given)).toThrow(part);
  });

  it.each(["nowhere.json", "."])("a file that cannot be read (%s) is refused", (name) => {
    const commandLine = { config: join(folder, name) };
    expect(() => readOptions(clientSpecs, { commandLine, environment: {} }, () => {})).toThrow(
      /--config.*cannot be read/,
    );
  });

  it("passes over what other commands take, and warns of variables that nobody takes", () => {
    const warnings: string[] = [];
    const config = '{ "capacity": "1G", "name": "x" }';
    const given = layers({ env: { NSWAP_CAPACITY: "junk", NSWAP_PORT: "tcp://10.0.0.1" }, config });
    expect(readOptions(clientSpecs, given, (text) => warnings.push(text)).name).toBe("x");
    expect(warnings).toEqual([expect.stringContaining("NSWAP_PORT")]);
  });
});

describe("typed options", () => {
  const server = (line: Record<string, unknown>) =>
    serverOptions(
      readOptions(serverSpecs, layers({ line }), () => {}),
      memory,
    );
  const parity = (line: Record<string, unknown>) =>
    serverOptions(
      readOptions(serverSpecs, layers({ line }), () => {}),
      memory,
      "parity",
    );
  const client = (line: Record<string, unknown>) =>
    clientOptions(readOptions(clientSpecs, layers({ line }), () => {}));
  const local = (line: Record<string, unknown>) =>
    localOptions(
      readOptions(localSpecs, layers({ line }), () => {}),
      memory,
    );

  it("have CLI.md's defaults", () => {
    expect(server({})).toEqual({
      name: defaultName("server"),
      listen: { host: "127.0.0.1", port: 7410 },
      control: { host: "127.0.0.1", port: 7411 },
      peers: [],
      insecure: false,
      log: "text",
      capacityBytes: 4 * GiB,
      reserveBytes: GiB / 4,
    });
    expect(client({ size: "1G", nbd: "127.0.0.1:0" })).toEqual({
      name: defaultName("client"),
      control: { host: "127.0.0.1", port: 7412 },
      peers: [],
      insecure: false,
      log: "text",
      sizeBytes: GiB,
      nbd: { host: "127.0.0.1", port: 0 },
      exportName: "",
      groupSize: 4,
    });
    expect(parity({})).toEqual({ ...server({}), name: defaultName("parity") });
    expect(local({ size: "1G", servers: "7" })).toMatchObject({
      parity: 1,
      capacityBytes: GiB / 2,
      respawn: false,
      control: { port: 0 },
      client: { nbd: { host: "127.0.0.1", port: 0 }, redundancy: "parity", groupSize: 4 },
    });
    expect(local({ size: "1G" }).servers).toBe(4);
  });

  it("protect pages by parity where there is a parity server, unless told otherwise", () => {
    const chosen = (line: Record<string, unknown>) => local({ size: "1G", ...line }).client.redundancy;
    expect(chosen({})).toBe("parity");
    expect(chosen({ parity: "0" })).toBe("none");
    expect(chosen({ redundancy: "mirror", parity: "0" })).toBe("mirror");
    expect(chosen({ redundancy: "none" })).toBe("none");
    expect(() => local({ size: "1G", redundancy: "parity", parity: "0" })).toThrow(
      /^--redundancy: parity, and --parity 0; accepted with --parity 1 or more$/,
    );
    const given = client({ size: "1G", nbd: "127.0.0.1:0", redundancy: "mirror", "group-size": "8" });
    expect(given).toMatchObject({ redundancy: "mirror", groupSize: 8 });
  });

  it("round the capacity down to a page and refuse more than there is", () => {
    expect(server({ capacity: String(GiB + 5) }).capacityBytes).toBe(GiB);
    expect(() => server({ capacity: "17G" })).toThrow(/--capacity: 17 GiB .* up to 16 GiB/);
    expect(() => local({ size: "1G", servers: "7", capacity: "3G" })).toThrow("up to 2 GiB");
    expect(() => server({ capacity: "1K" })).toThrow("accepted: 1M or more");
  });

  it("leave the reserve where half of what is available would not", () => {
    expect(server({ reserve: "6G" }).capacityBytes).toBe(2 * GiB);
    expect(local({ size: "1G", servers: "3", reserve: "6G" }).capacityBytes).toBe(GiB / 2);
    expect(server({ reserve: "9G" }).capacityBytes).toBe(4 * 1024 ** 2);
  });

  it("take sizes that are no whole number of pages where they have a fraction", () => {
    const { sizeBytes } = client({ size: "1.3G", nbd: "127.0.0.1:0" });
    expect(sizeBytes).toBe(Math.floor((1.3 * GiB) / 4096) * 4096);
  });

  it("require a size and a place for the device", () => {
    expect(() => client({ nbd: "127.0.0.1:0" })).toThrow(/^--size: is required/);
    expect(() => client({ size: "1G" })).toThrow(/^--socket or --nbd: is required/);
    expect(client({ size: "1G", socket: "some.sock" }).socketPath).toBe(join(process.cwd(), "some.sock"));
  });

  it("make a name of any host name", () => {
    expect(defaultName("server", "box-1.example.com")).toBe("box-1-server");
    expect(defaultName("client", "...")).toBe("node-client");
    expect(defaultName("client", `${"h".repeat(200)}`)).toHaveLength(63);
  });
});

describe("the command line", () => {
  const run = async (args: string[], env: Record<string, string> = {}) => {
    const host = new FakeHost(env);
    const status = await main(args, host);
    return { status, out: host.out, err: host.err };
  };

  it.each<[string[], string]>([
    [[], "a command is required: server, parity, client, local, status"],
    [["serve"], '"serve" is not a command; accepted: server, parity, client, local, status'],
    [["server", "--capcity", "1G"], 'unknown option or argument: "--capcity"'],
    [["server", "extra"], 'unknown option or argument: "extra"'],
    [["server", "--capacity"], "--capacity: needs a value"],
    [["server", "--size", "1G"], 'unknown option or argument: "--size"'],
    [["server", "--listen", "0.0.0.0:0"], "--listen: 0.0.0.0:0 can be reached from other machines"],
    [
      ["server", "--insecure", "--listen", "0.0.0.0:0"],
      "--control: 127.0.0.1:7411 is reached from this machine",
    ],
    [["server", "--control", "[::]:0"], "--control: [::]:0 can be reached from other machines"],
    [["client", "--size", "1G", "--nbd", "10.0.0.1:0"], "--insecure"],
    [["parity", "--size", "1G"], 'unknown option or argument: "--size"'],
    [["parity", "--listen", "0.0.0.0:0"], "--listen: 0.0.0.0:0 can be reached from other machines"],
    [
      ["client", "--size", "1G", "--nbd", "127.0.0.1:0", "--redundancy", "x"],
      "accepted: none, mirror, parity",
    ],
    [["local", "--size", "1G", "--parity", "17"], '--parity: "17" is not accepted; accepted: a whole number'],
    [["local", "--size", "1G", "--redundancy", "parity", "--parity", "0"], "with --parity 1 or more"],
    [["client", "--size", "1G", "--nbd", "127.0.0.1:0", "--key-file", "/nowhere"], "--key-file"],
    [["local"], "--size: is required"],
    [["server", "--insecure=maybe"], '--insecure: "maybe" is not accepted; accepted: true or false'],
    [["sim", "--config", "file"], 'unknown option or argument: "--config"'],
    [
      ["local", "--size", "1G", "--servers", "0"],
      '--servers: "0" is not accepted; accepted: a whole number from 1 to 64',
    ],
    [["status", "--control", "nowhere"], '--control: "nowhere" is not an address'],
    [["status", "--control", "127.0.0.1:1"], "cannot be reached (ECONNREFUSED)"],
  ])("%j fails with status 1, on standard error", async (args, problem) => {
    const { status, out, err } = await run(args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toContain(problem);
    expect(err).not.toContain("    at ");
  });

  it.each<[string, "listen" | "control"]>([
    ["--insecure=yes", "control"],
    ["--insecure=true", "control"],
    ["--insecure=no", "listen"],
    ["--no-insecure", "listen"],
  ])("%s is read as in the environment, not every word but true as a no", async (flag, refused) => {
    const { err } = await run(["server", flag, "--listen", "0.0.0.0:0"], { NSWAP_INSECURE: "on" });
    expect(err).toMatch(new RegExp(`^nswap: --${refused}: `, "m"));
  });

  it("shows no layers of options where there are none, and a command's own defaults", async () => {
    const sim = (await run(["sim", "--help"])).out;
    expect(sim).toContain("--seeds");
    expect(sim).not.toContain("--config");
    expect(sim).not.toContain("NSWAP_");
    expect((await run(["scrub", "--help"])).out).toContain("nswap scrub [node] [options]");
    expect((await run(["status", "--help"])).out).not.toContain("7412)");
    expect((await run(["local", "--help"])).out).not.toMatch(/741[12]/);
  });

  it("takes the flags of status from the environment too", async () => {
    const { status, err } = await run(["status", "--control", "127.0.0.1:1"], { NSWAP_JSON: "maybe" });
    expect({ status, err }).toEqual({
      status: 1,
      err: 'nswap: NSWAP_JSON: "maybe" is not accepted; accepted: true or false\n',
    });
  });

  it("shows help and version", async () => {
    expect(await run(["--version"])).toMatchObject({ status: 0, out: "0.1.0\n", err: "" });
    const help = await run(["--help"]);
    expect(help.status).toBe(0);
    for (const name of ["server", "parity", "client", "local", "status"])
      expect(help.out).toContain(`nswap ${name}`);
    const client = await run(["client", "--help"]);
    for (const option of Object.keys(clientSpecs)) expect(client.out).toContain(`--${option}`);
    expect(client.out).toContain("NSWAP_");
  });
});
