import { expect, test } from "vitest";
import { limits } from "../../../src/base/limits.ts";
import { memoryServer, pageOf, TestClient } from "../../support/cores.ts";

test("the server with the most room does not read: the others take the pages at once", () => {
  const client = new TestClient({ frames: 6000 });
  const deaf = client.join(memoryServer("a", 100_000));
  client.join(memoryServer("b", 10_000));
  deaf.toServer = false;
  const writes = [...Array(5000).keys()].map((slot) => client.write(slot, pageOf(slot)));
  client.pump();
  const waiting = writes.filter((write) => !write.done).length;
  expect(waiting).toBeLessThanOrEqual(limits.peerQueueBytesSoft / 4096 + 32);
});
