import { afterEach, describe, expect, it } from "vitest";
import { parseHostPort } from "../../../src/base/host-port.ts";
import { silentLog } from "../../../src/base/log.ts";
import { checkAddressPolicy, checkControlReachable } from "../../../src/node/address-policy.ts";
import { startMemoryNode } from "../../../src/node/memory-node.ts";
import { startParityNode } from "../../../src/node/parity-node.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function check(address: string, hasKey: boolean, insecure: boolean, option = "--listen"): string[] {
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (text: string) => warnings.push(text) };
  checkAddressPolicy({ addresses: { [option]: parseHostPort(address) }, hasKey, insecure }, log);
  return warnings;
}

describe("the address policy", () => {
  it.each(["127.0.0.1:1", "[::1]:1", "localhost:1"])("lets %s be bound without a key", (address) => {
    expect(check(address, false, false)).toEqual([]);
  });

  it.each(["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "box:1"])(
    "refuses %s without a key, with the mend",
    (address) => {
      expect(() => check(address, false, false)).toThrow(/^--listen: .*--key-file FILE.*--insecure/);
      expect(() => check(address, false, false)).toThrow(
        expect.objectContaining({ code: "ADDRESS_REFUSED" }),
      );
    },
  );

  it("lets anything be bound with a key, or aloud with --insecure", () => {
    expect(check("0.0.0.0:1", true, false)).toEqual([]);
    expect(check("0.0.0.0:1", false, true)).toEqual([expect.stringContaining("without a cluster key")]);
  });

  it("says that a key does not protect NBD", () => {
    expect(check("10.0.0.1:1", true, false, "--nbd")).toEqual([
      expect.stringContaining("NBD itself knows no key"),
    ]);
  });
});

describe("a control port that only this machine reaches", () => {
  const checked = (listen: string, control: string) => () =>
    checkControlReachable(parseHostPort(listen), parseHostPort(control));

  it.each([
    ["10.0.0.1:7410", "127.0.0.1:7411"],
    ["0.0.0.0:7410", "localhost:7411"],
    ["[::]:7410", "[::1]:7411"],
  ])(
    "is refused for a node that others use at %s (%s): both options and the mend are named",
    (listen, control) => {
      expect(checked(listen, control)).toThrow(expect.objectContaining({ code: "ADDRESS_REFUSED" }));
      expect(checked(listen, control)).toThrow(`--listen ${listen}`);
      expect(checked(listen, control)).toThrow(/^--control: .*; give --control .*:7411$/);
    },
  );

  it.each([
    ["127.0.0.1:7410", "127.0.0.1:7411"],
    ["127.0.0.1:7410", "0.0.0.0:7411"],
    ["0.0.0.0:7410", "0.0.0.0:7411"],
    ["10.0.0.1:7410", "10.0.0.1:7411"],
  ])("is all right where nobody else is concerned, and any other too: %s, %s", (listen, control) => {
    expect(checked(listen, control)).not.toThrow();
  });
});

describe("a host name that stands for loopback, as Debian has it for a machine's own", () => {
  const optionsWarnedOf = async (start: typeof startMemoryNode, host: string): Promise<unknown[]> => {
    const warned: unknown[] = [];
    const log = {
      ...silentLog,
      warn: (_text: string, fields?: Record<string, unknown>) => void warned.push(fields?.["option"]),
    };
    const address = { host, port: 0 };
    const rest = { name: "a", peers: [], insecure: true, log: "text", reserveBytes: 0 } as const;
    const options = { ...rest, listen: address, control: address, capacityBytes: 1 << 20 };
    const node = await start(options, log);
    cleanups.push(() => node.stop());
    return warned;
  };

  // What the system takes for a short form of 127.0.0.1 is a name to us.
  it.each([
    ["memory server", startMemoryNode],
    ["parity server", startParityNode],
  ])("was bound by a %s without a word, and no other machine reached it", async (_, start) => {
    expect(await optionsWarnedOf(start, "127.1")).toEqual(["--listen", "--control"]);
    expect(await optionsWarnedOf(start, "127.0.0.1")).toEqual([]);
  });
});
