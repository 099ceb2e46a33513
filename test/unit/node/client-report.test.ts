import { expect, test } from "vitest";
import { controlLimits } from "../../../src/base/control-limits.ts";
import { parseClientFigures } from "../../../src/membership/parse-record.ts";
import type { ClientDataPlane } from "../../../src/node/client-data-plane.ts";
import { reportOf } from "../../../src/node/client-report.ts";
import type { ClientOptions } from "../../../src/node/options.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

const options: ClientOptions = {
  ...{ name: "cli", control: { host: "127.0.0.1", port: 0 }, peers: [], insecure: false, log: "text" },
  ...{ sizeBytes: 1 << 20, exportName: "", groupSize: 4 },
};

function figuresOf(client: TestClient) {
  const linked = (role: string) => (role === "server" ? 2 : 1);
  const plane = { core: client.core, front: client.front, dialer: { linked } } as unknown as ClientDataPlane;
  return reportOf(plane, options, "none").client!;
}

test("a client's figures are what others accept", () => {
  const client = new TestClient();
  client.join(memoryServer("a"));
  client.write(0, pageOf(0));
  client.write(1, new Uint8Array(4096));
  client.pump();
  const figures = figuresOf(client);
  expect(figures).toMatchObject({
    ...{ name: "cli", redundancy: "none", sizeBytes: 1 << 20 },
    slots: { mapped: 1, sameFilled: 1, onDisk: 0 },
    pages: { live: 1, dead: 0, unprotected: 1, lost: 0 },
    ...{ recovery: { state: "idle", done: 0, total: 0 }, links: { servers: 2, parity: 1 }, suspects: [] },
  });
  expect(parseClientFigures(structuredClone(figures))).toEqual(figures);
});

test("servers that gave wrong bytes are named, up to a bound, until they are gone; names as others accept them", () => {
  const client = new TestClient();
  const { table } = client.core;
  const suspect = (n: number, name: string) => {
    const holder = table.admit(n.toString(16).padStart(32, "0"), name);
    holder.suspect = true;
    return holder;
  };
  const first = suspect(1, "server-1");
  table.admit("f".repeat(32), "honest");
  expect(figuresOf(client).suspects).toEqual(["server-1"]);
  suspect(2, "no name: ü");
  suspect(3, "server-1");
  expect(figuresOf(client).suspects).toEqual(["server-1"]);
  table.setDead(first);
  for (let n = 4; n < 20; n += 1) suspect(n, `server-${n}`);
  const figures = figuresOf(client);
  expect(figures.suspects).toHaveLength(controlLimits.suspectsMax);
  expect(parseClientFigures(structuredClone(figures))).toEqual(figures);
});
