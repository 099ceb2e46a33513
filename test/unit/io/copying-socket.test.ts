import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { expect, it } from "vitest";
import { copyingSocket } from "../../../src/io/raw-socket.ts";

it("where a socket cannot read into our memory, its bytes were not read at all", async () => {
  const sent = randomBytes(1_000_000);
  const window = new Uint8Array(10_000);
  const came: Buffer[] = [];
  let isPaused = false;
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    const socket = copyingSocket(accepted, { bytes: window, start: 0, window }, (length) => {
      expect(isPaused).toBe(false);
      came.push(Buffer.from(window.subarray(0, length)));
      // Now and then it is too much for a while.
      isPaused = came.length % 7 === 0;
      if (isPaused) setTimeout(goOn, 1);
      return !isPaused;
    });
    const goOn = (): void => {
      isPaused = false;
      socket.resume();
    };
    socket.on("end", () => server.close());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  net.connect(port, "127.0.0.1").end(sent);
  await once(server, "close");
  expect(Buffer.concat(came).equals(sent)).toBe(true);
});
