import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { afterEach, expect, it } from "vitest";
import { type Log, silentLog } from "../../../src/base/log.ts";
import { ClusterKey } from "../../../src/io/cluster-key.ts";
import { ControlPlane, newIdentity } from "../../../src/node/control-plane.ts";
import { StatusClient } from "../../../src/node/status-client.ts";
import { RecordingPort } from "../membership/records.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

it("a connection with a wrong key is refused: the log says which machine to look after", async () => {
  const said: unknown[] = [];
  const log: Log = { ...silentLog, warn: (message, fields) => void said.push({ message, ...fields }) };
  const plane = await ControlPlane.start({
    ...{ listen: { host: "127.0.0.1", port: 0 }, seeds: [], name: "a", role: "server", log },
    self: () => ({ data: "127.0.0.1:7410", frames: { used: 0, free: 0, limit: 0 }, draining: false }),
    identity: newIdentity(),
    port: new RecordingPort(),
    key: ClusterKey.fromBytes(Buffer.from("the first cluster key")),
  });
  cleanups.push(() => plane.close());
  const other = ClusterKey.fromBytes(Buffer.from("the second cluster key"));
  await expect(StatusClient.connect(plane.address, other)).rejects.toMatchObject({ code: "KEY_WRONG" });
  expect(said).toMatchObject([
    { message: "control connection refused", from: "127.0.0.1", code: "KEY_WRONG" },
  ]);
});

it.each<[string, () => Server]>([
  ["a data port", () => createServer((socket) => socket.resume().end(Buffer.alloc(16, 4)))],
  ["a web server", () => createHttpServer((_, response) => response.end("hello"))],
])("%s that was given for a control port was said to be out of reach", async (_, make) => {
  const server = make();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as { port: number };
  await expect(StatusClient.connect({ host: "127.0.0.1", port }, null)).rejects.toMatchObject({
    code: "PROTOCOL",
    retry: false,
    message: expect.stringContaining("is no control port"),
  });
});
