import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { freePort } from "../../support/free-port.ts";

it("a free port was given meanwhile to a connection of the program that was to listen on it", async () => {
  const [from] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1").split("\t").map(Number);
  for (let round = 0; round < 20; round += 1) expect(await freePort()).toBeLessThan(from!);
});
