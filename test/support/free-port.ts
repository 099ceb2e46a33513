import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const PORTS_FROM = 10_000;
const TRIES = 100;

/**
 * A TCP port that was free on loopback a moment ago, for programs that cannot pick one themselves. It is none that the
 * system gives to whoever asks for any (ip(7), ip_local_port_range): the program that is to have it opens many others.
 */
export async function freePort(): Promise<number> {
  const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1");
  const count = Number.parseInt(range, 10) - PORTS_FROM;
  if (count < TRIES)
    throw new Error(`ip_local_port_range ${range.trim()} leaves no ports from ${PORTS_FROM} on`);
  for (let left = TRIES; left > 0; left -= 1) {
    const port = PORTS_FROM + Math.floor(Math.random() * count);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port on loopback in ${TRIES} tries`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
